"""Balanced sampling: all clicks, and non-clicks by a stable hash (Spark side)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.samples import TRAINING_SAMPLES


def non_click_rate(impressions: int, clicks: int, *, ratio: float) -> float:
    """Share of the non-clicks to keep: `ratio` of them per click, at most all.

    A day without clicks is sampled as if it had one.

    >>> non_click_rate(1100, 100, ratio=1.0)
    0.1
    """
    non_clicks = impressions - clicks
    return min(1.0, ratio * max(clicks, 1) / non_clicks) if non_clicks > 0 else 1.0


def uniform_hash(salt: str, *columns: str) -> Column:
    """A stable number in [0, 1) from a hash of columns: the same under any partitioning."""
    return F.shiftrightunsigned(F.xxhash64(F.lit(salt), *columns), 11) / F.lit(float(2**53))


def order_key() -> Column:
    """The training order within a day: a stable hash of the impression id."""
    return F.xxhash64(F.lit("order"), "impression_id")


def sample_training(labeled: DataFrame, rates: DataFrame, *, salt: str) -> DataFrame:
    """Draw the training sample.

    Parameters
    ----------
    labeled : DataFrame
        Columns of `labeled_impressions`.
    rates : DataFrame
        ds, surface, non_click_rate: a few rows.

    Returns
    -------
    DataFrame
        Columns of `training_samples`.
    """
    kept = F.col("clicked") | (uniform_hash(salt, "impression_id") < F.col("non_click_rate"))
    return (
        labeled.where("is_valid_traffic")
        .join(F.broadcast(rates), ["ds", "surface"], how="inner")
        .where(kept)
        .withColumn("sampling_rate", F.col("non_click_rate"))
        .withColumn("order_key", order_key())
        .select(*TRAINING_SAMPLES.column_names)
    )

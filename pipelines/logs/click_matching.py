"""Which impression a click belongs to (Spark side)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.logs.reasons import CLICK_BEFORE_IMPRESSION, CLICK_WITHOUT_IMPRESSION
from pipelines.logs.validation import REASONS, REFUSED


def with_impression_day(checked: DataFrame, impressions: DataFrame) -> DataFrame:
    """Add the day of the impression clicked; refuse clicks that match none or precede theirs.

    Parameters
    ----------
    checked : DataFrame
        Clicks as `with_checks` gives them.
    impressions : DataFrame
        Accepted impressions of the clicks' days and the days before: impression_id, ts, user_id,
        listing_id, ds; unique by (impression_id, ds).

    Returns
    -------
    DataFrame
        The same columns and what is known of the impression: impression_ds, impression_ts, user_id,
        listing_id (null where none matches). It is looked for on the click's day and the day
        before; should both have the id, the later counts.
    """
    shown = impressions.select(
        "impression_id",
        F.struct(
            F.col("ds").alias("impression_ds"),
            F.col("ts").alias("impression_ts"),
            "user_id",
            "listing_id",
        ).alias("_match"),
    )
    # Clicks are few: only their ids meet the impressions, and whole clicks only the result.
    clicked = checked.select("impression_id", "ds").distinct()
    in_reach = F.datediff("ds", "_match.impression_ds").between(0, 1)
    matched = (
        clicked.join(shown, "impression_id", how="inner")
        .where(in_reach)
        .groupBy("impression_id", "ds")
        .agg(F.max("_match").alias("_match"))
    )
    joined = checked.join(matched, ["impression_id", "ds"], how="left")
    has_key = F.coalesce(F.col("impression_id") != "", F.lit(False))
    is_unmatched = has_key & F.col("_match").isNull()
    is_early = F.coalesce(F.col("ts") < F.col("_match.impression_ts"), F.lit(False))
    more = F.array_compact(
        F.array(
            F.when(is_unmatched, F.lit(CLICK_WITHOUT_IMPRESSION)),
            F.when(is_early, F.lit(CLICK_BEFORE_IMPRESSION)),
        )
    )
    return joined.select(
        *(name for name in checked.columns if name not in (REFUSED, REASONS)),
        "_match.*",
        (F.col(REFUSED) | is_unmatched | is_early).alias(REFUSED),
        F.concat(F.col(REASONS), more).alias(REASONS),
    )

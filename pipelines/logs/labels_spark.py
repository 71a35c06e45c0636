"""Labels: which impressions were clicked in time, and which no person made (Spark side)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.logs import LABELED_IMPRESSIONS


def first_clicks(clicks: DataFrame, *, click_window_hours: float, cutoff_hours: int) -> DataFrame:
    """The first click of each impression that counts.

    It counts when it came within the click window of the impression, and before the cut-off of
    the impression's day.

    Parameters
    ----------
    clicks : DataFrame
        Columns of `clicks`.
    cutoff_hours : int
        Hours after the end of the impression's day from which clicks no longer count.

    Returns
    -------
    DataFrame
        One row per clicked impression: ds (of the impression), impression_id, user_id,
        listing_id, click_delay_s.
    """
    cutoff = F.col("impression_ds").cast("timestamp") + F.expr(
        f"INTERVAL {24 + cutoff_hours} HOURS"
    )
    delay = F.unix_micros("ts") - F.unix_micros("impression_ts")
    in_window = (delay >= 0) & (delay <= int(click_window_hours * 3_600_000_000))
    return (
        clicks.where((F.col("ts") < cutoff) & in_window)
        .groupBy(F.col("impression_ds").alias("ds"), "impression_id", "user_id", "listing_id")
        .agg(F.floor(F.min(delay) / 1_000_000).cast("int").alias("click_delay_s"))
    )


def bursts(
    first: DataFrame, *, max_clicks_per_user_and_listing: int, max_clicks_per_user: int
) -> DataFrame:
    """Users who clicked more in a day than a person does.

    Parameters
    ----------
    first : DataFrame
        As of `first_clicks`.

    Returns
    -------
    DataFrame
        ds, user_id, listing_id of bursts on one listing; listing_id is null where all of the
        user's traffic is meant. Few rows: none, on most days.
    """
    known = first.where(F.col("user_id").isNotNull())
    by_listing = known.groupBy("ds", "user_id", "listing_id").count()
    by_user = known.groupBy("ds", "user_id").count()
    on_one = by_listing.where(F.col("count") > max_clicks_per_user_and_listing)
    in_all = by_user.where(F.col("count") > max_clicks_per_user)
    nothing = F.lit(None).cast("string").alias("listing_id")
    return on_one.drop("count").unionByName(in_all.select("ds", "user_id", nothing))


def label_impressions(
    impressions: DataFrame, first: DataFrame, invalid: DataFrame | None
) -> DataFrame:
    """Label every impression, by one definition that is never restated.

    Parameters
    ----------
    impressions : DataFrame
        Columns of `impressions`.
    first : DataFrame
        As of `first_clicks`.
    invalid : DataFrame or None
        As of `bursts`; None where there are none, which saves two joins on most days.

    Returns
    -------
    DataFrame
        Columns of `labeled_impressions`.
    """
    clicked = first.select("ds", "impression_id", "click_delay_s")
    labeled = impressions.join(clicked, ["ds", "impression_id"], how="left").withColumn(
        "clicked", F.col("click_delay_s").isNotNull()
    )
    is_valid: Column = F.lit(True)
    if invalid is not None:
        on_one = invalid.where(F.col("listing_id").isNotNull()).withColumn("_burst", F.lit(True))
        in_all = invalid.where(F.col("listing_id").isNull()).select(
            "ds", "user_id", F.lit(True).alias("_robot")
        )
        labeled = labeled.join(
            F.broadcast(on_one), ["ds", "user_id", "listing_id"], how="left"
        ).join(F.broadcast(in_all), ["ds", "user_id"], how="left")
        is_valid = F.col("_burst").isNull() & F.col("_robot").isNull()
    return labeled.withColumn("is_valid_traffic", is_valid).select(
        *LABELED_IMPRESSIONS.column_names
    )

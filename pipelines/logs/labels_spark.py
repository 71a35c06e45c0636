"""Labels: which impressions were clicked in time, and which no person made (Spark side)."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.logs import LABELED_IMPRESSIONS


def first_clicks(clicks: DataFrame, *, cutoff_hours: int) -> DataFrame:
    """The first click of each impression, of those before the impression day's cut-off.

    Parameters
    ----------
    clicks : DataFrame
        Columns of `clicks`.
    cutoff_hours : int
        Hours after the end of the impression's day from which clicks no longer count.

    Returns
    -------
    DataFrame
        One row per clicked impression: ds (of the impression), impression_id, click_ts.
    """
    cutoff = F.col("impression_ds").cast("timestamp") + F.expr(f"INTERVAL {24 + cutoff_hours} HOURS")
    return (
        clicks.where(F.col("ts") < cutoff)
        .groupBy(F.col("impression_ds").alias("ds"), "impression_id")
        .agg(F.min("ts").alias("click_ts"))
    )


def label_impressions(
    impressions: DataFrame,
    clicks: DataFrame,
    *,
    click_window_hours: float,
    cutoff_hours: int,
    max_clicks_per_user_and_listing: int,
    max_clicks_per_user: int,
) -> DataFrame:
    """Label every impression, by one definition that is never restated.

    An impression is clicked when its first click came within the click window and before the
    label cut-off. Traffic is invalid when its user clicked more that day, in all or on the one
    listing, than a person does.

    Returns
    -------
    DataFrame
        Columns of `labeled_impressions`.
    """
    window_s = int(click_window_hours * 3600)
    delay = F.unix_micros("click_ts") - F.unix_micros("ts")
    delay_s = F.floor(delay / 1_000_000).cast("int")
    joined = impressions.join(
        first_clicks(clicks, cutoff_hours=cutoff_hours), ["ds", "impression_id"], how="left"
    )
    in_time = F.col("click_ts").isNotNull() & (delay >= 0) & (delay <= window_s * 1_000_000)
    labeled = joined.withColumn("clicked", in_time)
    clicked = labeled.where("clicked AND user_id IS NOT NULL").select("ds", "user_id", "listing_id")
    by_listing = clicked.groupBy("ds", "user_id", "listing_id").count()
    bursts = by_listing.where(F.col("count") > max_clicks_per_user_and_listing).select(
        "ds", "user_id", "listing_id", F.lit(True).alias("_burst")
    )
    by_user = by_listing.groupBy("ds", "user_id").agg(F.sum("count").alias("_clicks"))
    robots = by_user.where(F.col("_clicks") > max_clicks_per_user).select(
        "ds", "user_id", F.lit(True).alias("_robot")
    )
    valid = F.col("_burst").isNull() & F.col("_robot").isNull()
    return (
        labeled.join(F.broadcast(bursts), ["ds", "user_id", "listing_id"], how="left")
        .join(F.broadcast(robots), ["ds", "user_id"], how="left")
        .withColumn("click_delay_s", F.when(F.col("clicked"), delay_s))
        .withColumn("is_valid_traffic", valid)
        .select(*LABELED_IMPRESSIONS.column_names)
    )

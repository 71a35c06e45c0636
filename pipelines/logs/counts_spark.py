"""Counts per entity and surface, with the clicks that positions alone would give (Spark side).

A listing shown on top is not better for it: rates are clicks over expected clicks, where an
impression's expected click is the day's click rate of its surface and position, in millionths so
that sums are exact.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.logs import ENTITY_COUNTS

MICRO = 1_000_000


def position_rates(traffic: DataFrame, *, strength: float) -> DataFrame:
    """Counts and click rate per day, surface and position.

    Parameters
    ----------
    traffic : DataFrame
        Valid rows of `labeled_impressions`.
    strength : float
        Clicks at the surface's own rate that each position's rate is smoothed with.

    Returns
    -------
    DataFrame
        ds, surface, position, impressions, clicks, rate_micro (bigint).
    """
    by_position = traffic.groupBy("ds", "surface", "position").agg(
        F.count(F.lit(1)).alias("impressions"), F.sum(F.col("clicked").cast("long")).alias("clicks")
    )
    totals = by_position.groupBy("ds", "surface").agg(
        F.sum("impressions").alias("_n"), F.sum("clicks").alias("_k")
    )
    # A surface without clicks that day expects none.
    prior_n = F.lit(strength) * F.col("_n") / F.col("_k")
    rate = F.when(
        F.col("_k") > 0, (F.col("clicks") + F.lit(strength)) / (F.col("impressions") + prior_n)
    ).otherwise(F.lit(0.0))
    return by_position.join(F.broadcast(totals), ["ds", "surface"], how="inner").select(
        "ds",
        "surface",
        "position",
        "impressions",
        "clicks",
        F.round(rate * MICRO).cast("long").alias("rate_micro"),
    )


def _count(traffic: DataFrame, entity_type: str, entity_id: Column) -> DataFrame:
    return (
        traffic.where(entity_id.isNotNull())
        .groupBy("ds", entity_id.alias("entity_id"), "surface")
        .agg(
            F.sum("impressions").alias("impressions"),
            F.sum("clicks").alias("clicks"),
            F.sum("expected_clicks_micro").alias("expected_clicks_micro"),
        )
        .select(F.lit(entity_type).alias("entity_type"), "*")
    )


def count_entities(
    labeled: DataFrame, listings: DataFrame, *, position_strength: float
) -> DataFrame:
    """Count every entity of the days given.

    Shops and categories are summed from their listings of the day's snapshot, so that the traffic
    is read once per entity that only it knows.

    Parameters
    ----------
    labeled : DataFrame
        Columns of `labeled_impressions`.
    listings : DataFrame
        Columns of `listings`, the same days.

    Returns
    -------
    DataFrame
        Columns of `entity_counts`.
    """
    valid = labeled.where("is_valid_traffic")
    positions = position_rates(valid, strength=position_strength)
    rates = positions.select("ds", "surface", "position", "rate_micro")
    rows = valid.join(F.broadcast(rates), ["ds", "surface", "position"], how="inner").select(
        "ds",
        "surface",
        "listing_id",
        "query",
        "user_id",
        F.lit(1).cast("long").alias("impressions"),
        F.col("clicked").cast("long").alias("clicks"),
        F.col("rate_micro").alias("expected_clicks_micro"),
    )
    by_listing = _count(rows, "listing", F.col("listing_id"))
    homes = listings.select("ds", F.col("listing_id").alias("entity_id"), "shop_id", "category")
    homed = by_listing.join(homes, ["ds", "entity_id"], how="inner")
    by_position = positions.select(
        F.lit("position").alias("entity_type"),
        "ds",
        F.col("position").cast("string").alias("entity_id"),
        "surface",
        "impressions",
        "clicks",
        (F.col("rate_micro") * F.col("impressions")).alias("expected_clicks_micro"),
    )
    parts = [
        by_listing,
        _count(homed.drop("entity_id", "entity_type"), "shop", F.col("shop_id")),
        _count(homed.drop("entity_id", "entity_type"), "category", F.col("category")),
        _count(rows, "query", F.col("query")),
        _count(rows, "user", F.col("user_id")),
        by_position,
    ]
    union = parts[0]
    for part in parts[1:]:
        union = union.unionByName(part)
    return union.select(*ENTITY_COUNTS.column_names)

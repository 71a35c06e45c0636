"""History: window sums per entity as of a day's end, and prior strengths (Spark side)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

SURFACES = ("search", "promoted")
# What is summed, by the column of `entity_counts` that holds it.
_SOURCES = {
    "impressions": "impressions",
    "clicks": "clicks",
    "expected_micro": "expected_clicks_micro",
}
SUMS = tuple(f"{surface}_{what}" for surface in SURFACES for what in _SOURCES)
HISTORY_ENTITIES = ("listing", "shop", "category", "query", "user")
RATE_SURFACES = ("search", "promoted", "both")


def _sums(counted: Mapping[str, Column]) -> list[Column]:
    """Columns `SUMS` of a group of counts, given which of its rows count for each surface."""
    return [
        F.sum(F.when(counted[surface], F.col(source)).otherwise(F.lit(0))).alias(
            f"{surface}_{what}"
        )
        for surface in SURFACES
        for what, source in _SOURCES.items()
    ]


def _by_surface(counts: DataFrame) -> DataFrame:
    """One row per day and entity, the surfaces side by side."""
    return (
        counts.where(F.col("entity_type") != "position")
        .groupBy("entity_type", "entity_id", "ds")
        .agg(*_sums({surface: F.col("surface") == surface for surface in SURFACES}))
    )


def history_before(
    counts: DataFrame, *, first: str, last: str, search_days: int, promoted_days: int
) -> DataFrame:
    """Window sums ending the day before, for the entities of each day.

    Parameters
    ----------
    counts : DataFrame
        Columns of `entity_counts`, the days and their windows before.
    first, last : str
        The days to make, ISO dates.

    Returns
    -------
    DataFrame
        Columns of `entity_history`.
    """
    if first == last:
        return _history_of_day(counts, first, {"search": search_days, "promoted": promoted_days})
    day = F.datediff(F.col("ds"), F.lit("1970-01-01").cast("date"))
    entity = Window.partitionBy("entity_type", "entity_id").orderBy("_day")
    before = {
        "search": entity.rangeBetween(-search_days, -1),
        "promoted": entity.rangeBetween(-promoted_days, -1),
    }
    nothing = F.lit(0).cast("long")
    made = (F.col("ds") >= F.lit(first).cast("date")) & (F.col("ds") <= F.lit(last).cast("date"))
    return (
        _by_surface(counts)
        .withColumn("_day", day)
        .select(
            "entity_type",
            "entity_id",
            *(
                F.coalesce(F.sum(name).over(before[name.split("_")[0]]), nothing).alias(name)
                for name in SUMS
            ),
            "ds",
        )
        .where(made)
    )


def _history_of_day(counts: DataFrame, day: str, days: Mapping[str, int]) -> DataFrame:
    """`history_before` of one day: one group-by, a fifth of the cost of sorted windows."""
    end = F.lit(day).cast("date")
    counted = {
        surface: (F.col("surface") == surface)
        & (F.col("ds") >= F.date_sub(end, days[surface]))
        & (F.col("ds") < end)
        for surface in SURFACES
    }
    return (
        counts.where((F.col("entity_type") != "position") & (F.col("ds") <= end))
        .groupBy("entity_type", "entity_id")
        .agg(*_sums(counted), F.max(F.col("ds") == end).alias("_is_seen"))
        .where("_is_seen")
        .select("entity_type", "entity_id", *SUMS, end.alias("ds"))
    )


def window_to(
    counts: DataFrame, *, day: str, search_days: int, promoted_days: int, entities: Iterable[str]
) -> DataFrame:
    """Window sums ending with `day` itself, for scoring what is shown after it.

    Returns
    -------
    DataFrame
        Columns of `entity_history`, ds = `day`.
    """
    end = F.lit(day).cast("date")
    days = {"search": search_days, "promoted": promoted_days}
    counted = {
        surface: (F.col("surface") == surface) & (F.col("ds") >= F.date_sub(end, days[surface] - 1))
        for surface in SURFACES
    }
    return (
        counts.where(F.col("entity_type").isin(*entities) & (F.col("ds") <= end))
        .groupBy("entity_type", "entity_id")
        .agg(*_sums(counted))
        .withColumn("ds", end)
    )


@dataclass(frozen=True)
class Strength:
    """How strongly one kind of entity is pulled to its parent's rate, in expected clicks."""

    strength: float
    entities: int


def moments(history: DataFrame) -> DataFrame:
    """The sums that `strengths` needs, exact, per day and entity type.

    Expected clicks are taken in thousandths here so that squares fit 38 digits.
    """
    columns: list[Column] = []
    for surface in RATE_SURFACES:
        if surface == "both":
            clicks = F.col("search_clicks") + F.col("promoted_clicks")
            expected = F.col("search_expected_micro") + F.col("promoted_expected_micro")
        else:
            clicks, expected = F.col(f"{surface}_clicks"), F.col(f"{surface}_expected_micro")
        k = clicks.cast("decimal(19,0)")
        e = F.round(expected / 1000).cast("decimal(19,0)")
        columns += [
            F.sum((expected > 0).cast("long")).alias(f"{surface}_entities"),
            F.sum(k).alias(f"{surface}_k"),
            F.sum(e).alias(f"{surface}_e"),
            F.sum(k * k).alias(f"{surface}_kk"),
            F.sum(k * e).alias(f"{surface}_ke"),
            F.sum(e * e).alias(f"{surface}_ee"),
        ]
    return history.groupBy("ds", "entity_type").agg(*columns)


def strengths(
    row: Mapping[str, object], *, min_strength: float, max_strength: float
) -> dict[str, Strength]:
    """Prior strength of one entity type by moments, per rate surface.

    Clicks are taken as Poisson with mean E * theta and theta as Gamma with mean c and variance
    tau^2, so that sum (k - c E)^2 - sum k estimates tau^2 sum E^2; the posterior mean of theta is
    (k + m c) / (E + m) with m = c / tau^2.

    Parameters
    ----------
    row : mapping
        One row of `moments`.

    Returns
    -------
    dict
        Strength by `search`, `promoted`, `both`; the geometric mean of the limits where there is
        nothing to estimate it from.
    """
    found: dict[str, Strength] = {}
    for surface in RATE_SURFACES:
        k, e, kk, ke, ee = (
            float(str(row[f"{surface}_{name}"] or 0)) for name in ("k", "e", "kk", "ke", "ee")
        )
        e, ke, ee = e / 1e3, ke / 1e3, ee / 1e6
        entities = int(str(row[f"{surface}_entities"] or 0))
        strength = (min_strength * max_strength) ** 0.5
        if k > 0 and e > 0 and ee > 0:
            c = k / e
            excess = kk - 2 * c * ke + c * c * ee - k
            strength = c * ee / excess if excess > 0 else max_strength
        found[surface] = Strength(min(max(strength, min_strength), max_strength), entities)
    return found

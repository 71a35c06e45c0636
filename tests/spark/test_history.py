"""Windows that end the day before."""

import random
from datetime import timedelta

from pipelines.features.history_spark import SUMS, history_before, moments, strengths, window_to
from pipelines.scores.window_sums import prior_strengths, window_sums
from tests.support.rows import DAY, arrow_rows, spark_rows
from tests.support.traffic import days_before


def counts(day, *, surface="promoted", entity="l1", impressions=1, clicks=0):
    return {"ds": day, "surface": surface, "entity_id": entity, "impressions": impressions,
            "clicks": clicks, "expected_clicks_micro": 10 * impressions}  # fmt: skip


def sums_before(spark, rows, first=DAY, last=DAY):
    made = history_before(
        spark_rows(spark, "entity_counts", rows),
        first=str(first), last=str(last), search_days=14, promoted_days=30,
    )  # fmt: skip
    return {(row["entity_id"], row["ds"]): row for row in made.collect()}


def test_windows_hold_exactly_14_and_30_days_and_not_the_day_itself(spark):
    # Powers of two tell which days were summed.
    edges = {"search": (1, 14, 15), "promoted": (1, 30, 31)}
    rows = [
        counts(DAY - timedelta(days=back), surface=surface, impressions=1 << bit)
        for surface, backs in edges.items()
        for bit, back in enumerate(backs)
    ]
    today = counts(DAY, impressions=1000)
    new = counts(DAY, entity="new")
    gone = counts(DAY - timedelta(days=1), entity="gone")
    found = sums_before(spark, [*rows, today, new, gone])
    assert set(found) == {("l1", DAY), ("new", DAY)}
    assert found["l1", DAY]["search_impressions"] == 0b011
    assert found["l1", DAY]["promoted_impressions"] == 0b011
    assert found["l1", DAY]["promoted_expected_micro"] == 30
    assert [found["new", DAY][name] for name in SUMS] == [0] * 6


def test_days_made_together_are_as_if_made_alone(spark):
    rows = [
        counts(day, surface=surface, impressions=k + 1, clicks=1)
        for k, day in enumerate(days_before(34))
        for surface in ("search", "promoted")
        if k % 5
    ]
    first = DAY - timedelta(days=2)
    together = sums_before(spark, rows, first, DAY)
    assert len(together) == 3
    for (entity, day), row in together.items():
        assert sums_before(spark, [r for r in rows if r["ds"] <= day], day, day) == {
            (entity, day): row
        }


def some_counts():
    draw = random.Random(5)
    return [
        counts(day, surface=surface, entity=f"l{k}", impressions=draw.randrange(1, 90),
               clicks=draw.randrange(0, 9))
        for day in days_before(33)
        for surface in ("search", "promoted")
        for k in range(12)
        if draw.random() < 0.4
    ]  # fmt: skip


def test_the_window_to_a_day_is_the_history_of_the_next(spark):
    rows = some_counts()
    following = DAY + timedelta(days=1)
    tomorrow = [counts(following, entity=f"l{k}") for k in range(12)]
    before = sums_before(spark, rows + tomorrow, following, following)
    to = window_to(
        spark_rows(spark, "entity_counts", rows),
        day=str(DAY), search_days=14, promoted_days=30, entities=["listing"],
    ).collect()  # fmt: skip
    assert {row["ds"] for row in to} == {DAY}
    assert {row["entity_id"]: [row[n] for n in SUMS] for row in to} == {
        entity: [row[n] for n in SUMS] for (entity, _), row in before.items()
    }


def test_the_driver_s_sums_and_strengths_are_those_of_spark(spark):
    rows = some_counts()
    limits = {"min_strength": 0.5, "max_strength": 200.0}
    to = window_to(
        spark_rows(spark, "entity_counts", rows),
        day=str(DAY), search_days=14, promoted_days=30, entities=["listing"],
    )  # fmt: skip
    sums = window_sums(arrow_rows("entity_counts", rows), DAY, search_days=14, promoted_days=30)
    assert {("listing", r["entity_id"]): {n: r[n] for n in SUMS} for r in to.collect()} == sums
    (row,) = moments(to).collect()
    by_spark = strengths(row.asDict(), **limits)
    assert prior_strengths(sums, **limits) == {
        ("listing", surface): value.strength for surface, value in by_spark.items()
    }

"""Counts per entity against plain Python, and windows that end the day before."""

import random
from collections import defaultdict
from datetime import timedelta

import pytest

from pipelines.features.history_spark import SUMS, history_before, moments, strengths, window_to
from pipelines.logs.counts_spark import count_entities
from pipelines.scores.window_sums import prior_strengths, window_sums
from tests.support.rows import DAY, arrow_rows, spark_rows
from tests.support.traffic import days_before, impressions, listings

DAYS = days_before(2)


@pytest.fixture(scope="module")
def shown():
    return [row for day in DAYS for row in impressions(day, 400)]


@pytest.fixture(scope="module")
def known():
    # l7 is in no snapshot: it is counted, but has no shop and no category.
    return [row for day in DAYS for row in listings(day, 7)]


@pytest.fixture(scope="module")
def counted(spark, shown, known):
    made = count_entities(
        spark_rows(spark, "labeled_impressions", shown),
        spark_rows(spark, "listings", known),
        position_strength=2.0,
    ).collect()
    key = ("entity_type", "entity_id", "surface", "ds")
    found = {tuple(row[k] for k in key): row for row in made}
    assert len(found) == len(made)
    return found


def rate_micro(shown, day, surface, position, strength=2.0):
    """The smoothed click rate of a position in millionths, as its docstring says."""
    valid = [
        r for r in shown if r["is_valid_traffic"] and (r["ds"], r["surface"]) == (day, surface)
    ]
    own = [r["clicked"] for r in valid if r["position"] == position]
    prior = strength * len(valid) / sum(r["clicked"] for r in valid)
    return round((sum(own) + strength) / (len(own) + prior) * 1e6)


def test_sums_are_those_of_a_plain_count(counted, shown, known):
    home = {row["listing_id"]: row for row in known}
    expected = defaultdict(lambda: [0, 0, 0])
    for row in shown:
        if not row["is_valid_traffic"]:
            continue
        of = home.get(row["listing_id"], {})
        entities = {
            "listing": row["listing_id"], "shop": of.get("shop_id"), "query": row["query"],
            "category": of.get("category"), "user": row["user_id"],
            "position": str(row["position"]),
        }  # fmt: skip
        micro = rate_micro(shown, row["ds"], row["surface"], row["position"])
        for entity, value in entities.items():
            if value is not None:
                sums = expected[entity, value, row["surface"], row["ds"]]
                sums[0] += 1
                sums[1] += row["clicked"]
                sums[2] += micro
    found = {
        key: [row["impressions"], row["clicks"], row["expected_clicks_micro"]]
        for key, row in counted.items()
    }
    assert found == dict(expected)


def test_expected_clicks_sum_to_the_clicks_of_a_surface(spark, shown, known):
    """Up to rounding without smoothing, and closely with it."""
    for strength, tolerance in ((1e-6, 1e-3), (2.0, 0.05)):
        positions = count_entities(
            spark_rows(spark, "labeled_impressions", shown),
            spark_rows(spark, "listings", known),
            position_strength=strength,
        ).where("entity_type = 'position'")
        totals = defaultdict(lambda: [0, 0.0])
        for row in positions.collect():
            totals[row["ds"], row["surface"]][0] += row["clicks"]
            totals[row["ds"], row["surface"]][1] += row["expected_clicks_micro"] / 1e6
        assert len(totals) == 4
        for clicks, expected in totals.values():
            assert expected == pytest.approx(clicks, rel=tolerance)


def test_a_surface_without_clicks_expects_none(spark):
    rows = [{"impression_id": str(k), "position": k} for k in range(1, 4)]
    made = count_entities(
        spark_rows(spark, "labeled_impressions", rows),
        spark_rows(spark, "listings", [{}]),
        position_strength=2.0,
    ).collect()
    assert {row["expected_clicks_micro"] for row in made} == {0}


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

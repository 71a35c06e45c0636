"""Windows that end the day before."""

import random
from datetime import timedelta

import pyarrow.compute as pc

from pipelines.features.history import SUMS, Windows, window_to
from tests.support.rows import DAY, arrow_rows
from tests.support.stages import history_of
from tests.support.traffic import days_before

WINDOWS = Windows(14, 30)


def counts(day, *, surface="promoted", entity="l1", impressions=1, clicks=0):
    return {"ds": day, "surface": surface, "entity_id": entity, "impressions": impressions,
            "clicks": clicks, "expected_clicks_micro": 10 * impressions}  # fmt: skip


def sums_before(rows, *days):
    made = history_of(arrow_rows("entity_counts", rows), days or [DAY], WINDOWS)
    return {(row["entity_id"], row["ds"]): row for row in made.to_pylist()}


def sums_to(rows, entities=("listing",)):
    table = arrow_rows("entity_counts", rows)
    days = table["ds"].unique().to_pylist()
    return window_to(
        DAY, days, lambda day: table.filter(pc.equal(table["ds"], day)), WINDOWS, entities
    )


def test_windows_hold_exactly_14_and_30_days_and_not_the_day_itself():
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
    found = sums_before([*rows, today, new, gone])
    assert set(found) == {("l1", DAY), ("new", DAY)}
    assert found["l1", DAY]["search_impressions"] == 0b011
    assert found["l1", DAY]["promoted_impressions"] == 0b011
    assert found["l1", DAY]["promoted_expected_micro"] == 30
    assert [found["new", DAY][name] for name in SUMS] == [0] * 6


def test_days_made_together_are_as_if_made_alone():
    rows = [
        counts(day, surface=surface, impressions=k + 1, clicks=1)
        for k, day in enumerate(days_before(34))
        for surface in ("search", "promoted")
        if k % 5
    ]
    days = [DAY - timedelta(days=back) for back in (7, 2, 0)]
    together = sums_before(rows, *days)
    assert len(together) == 3
    for (entity, day), row in together.items():
        assert sums_before([r for r in rows if r["ds"] <= day], day) == {(entity, day): row}


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


def test_sums_are_those_of_a_plain_sum():
    rows = some_counts()
    found = sums_before(rows, *days_before(20))
    assert len(found) > 100
    for (entity, day), sums in found.items():
        for surface, window in (("search", 14), ("promoted", 30)):
            own = [
                row
                for row in rows
                if row["entity_id"] == entity
                and row["surface"] == surface
                and 0 < (day - row["ds"]).days <= window
            ]
            assert sums[f"{surface}_impressions"] == sum(row["impressions"] for row in own)
            assert sums[f"{surface}_clicks"] == sum(row["clicks"] for row in own)


def test_the_window_to_a_day_is_the_history_of_the_next():
    rows = some_counts()
    following = DAY + timedelta(days=1)
    tomorrow = [counts(following, entity=f"l{k}") for k in range(12)]
    before = sums_before(rows + tomorrow, following)
    to = sums_to(rows).to_pylist()
    assert {row["ds"] for row in to} == {DAY}
    assert {row["entity_id"]: [row[n] for n in SUMS] for row in to} == {
        entity: [row[n] for n in SUMS] for (entity, _), row in before.items()
    }


def test_only_entities_asked_for_are_summed():
    assert len(sums_to(some_counts(), ["shop"])) == 0

"""The model fills in how a row's category stands to the query's usual one, by the day before."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.ids import NONE, cross_ids, value_ids
from pipelines.models import usual_values
from pipelines.models.joint import JointModel
from pipelines.models.joint_state import JointSpec, JointState, RowNamespace, UsualColumns
from pipelines.models.usual_values import (
    NEW,
    OTHER,
    SAME,
    SAME_BRANCH,
    PairCounter,
    PairCounts,
)

NAMES = (
    "surface", "query", "category", "category_1", "usual_category", "surface_x_usual_category",
)  # fmt: skip
SPEC = JointSpec(
    tuple(RowNamespace(name, 0.3) for name in NAMES),
    (),
    usual=UsualColumns("usual_category", 1, 2, 3, 4, 5, 0, "surface_x_usual_category"),
)
RELATION = dict(
    zip(
        (SAME, SAME_BRANCH, OTHER, NEW),
        value_ids("usual_category", pa.array([SAME, SAME_BRANCH, OTHER, NEW])).tolist(),
        strict=True,
    )
)


def rows(*of: tuple[int, int, int]) -> np.ndarray:
    """Rows of (query, category, top category); the columns that are filled in are empty."""
    return np.array([[1, *row, NONE, NONE] for row in of])


def after(*days: np.ndarray, spec: JointSpec = SPEC) -> JointState:
    state = JointState.new(spec)
    for number, day in enumerate(days):
        model = JointModel(spec, state, {})
        model.learn(day, np.zeros(len(day), np.uint8), np.arange(len(day)))
        state = model.end(number)
    return state


SHOWN = rows((10, 100, 1000), (10, 100, 1000), (10, 101, 1000), (11, 102, 1001))


def relations(state: JointState, *of: tuple[int, int, int], spec: JointSpec = SPEC) -> list[int]:
    """Ids of the filled columns of rows."""
    model = JointModel(spec, state, {})
    index = model.index(rows(*of), add=True)
    return [NONE if at < 0 else int(model.ids[at]) for at in index[:, 4]]


def test_a_row_is_told_by_what_its_query_was_shown_until_the_day_before() -> None:
    asked = ((10, 100, 1000), (10, 101, 1000), (10, 102, 1001), (12, 100, 1000), (NONE, 100, 1000))
    expected = [RELATION[name] for name in (SAME, SAME_BRANCH, OTHER, NEW)]
    assert relations(after(SHOWN), *asked) == [*expected, NONE]
    # On the first day no query has been shown anything, and no row is told of it.
    assert relations(after(), *asked) == [NONE] * 5


def test_days_add_up_to_what_is_usual() -> None:
    later = rows(*[(10, 102, 1001)] * 3)
    assert relations(after(SHOWN), (10, 102, 1001)) == [RELATION[OTHER]]
    assert relations(after(SHOWN, later), (10, 102, 1001)) == [RELATION[SAME]]


def test_the_relation_is_crossed_with_the_surface_and_may_be_a_part_of_that_alone() -> None:
    state = after(SHOWN)
    model = JointModel(SPEC, state, {})
    index = model.index(rows((10, 100, 1000)), add=True)
    crossed = cross_ids(NAMES[5], [np.array([1]), np.array([RELATION[SAME]])])
    assert model.ids[index[0, 5]] == crossed[0]
    usual = SPEC.usual
    assert usual is not None
    alone = replace(SPEC, usual=replace(usual, relation=-1))
    model = JointModel(alone, after(SHOWN, spec=alone), {})
    index = model.index(rows((10, 100, 1000)), add=True)
    assert index[0, 4] == -1
    assert model.ids[index[0, 5]] == crossed[0]


def test_rows_that_are_given_are_not_changed() -> None:
    given = rows((10, 100, 1000))
    before = given.copy()
    JointModel(SPEC, after(SHOWN), {}).index(given)
    assert np.array_equal(given, before)


@pytest.mark.parametrize("counts", [((100, 1), (101, 1)), ((101, 1), (100, 1))])
def test_of_two_as_usual_ones_it_is_the_one_of_the_smaller_id(
    counts: tuple[tuple[int, int], ...],
) -> None:
    shown = rows(*[(10, category, 1000) for category, _ in counts])
    assert relations(after(shown), (10, 100, 1000)) == [RELATION[SAME]]


def test_pairs_are_counted_as_rows_come_and_none_of_the_rows_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usual_values, "_ROWS_HELD", 50)
    rng = np.random.default_rng(1)
    counter, counted = PairCounter(PairCounts.none()), Counter[tuple[int, int]]()
    for _ in range(20):
        day = rng.integers(0, 12, (30, 3))
        day[:, 2] = day[:, 1] // 4
        counted.update(zip(day[:, 0].tolist(), day[:, 1].tolist(), strict=True))
        held = weakref.ref(day)
        counter.add(*day.T)
        del day
        assert held() is None
    pairs = counter.counts()
    found = zip(pairs.entity.tolist(), pairs.value.tolist(), strict=True)
    assert dict(zip(found, pairs.count.tolist(), strict=True)) == counted
    assert pairs.branch.tolist() == (pairs.value // 4).tolist()
    assert [pair for pair, _ in sorted(counted.items())] == list(
        zip(pairs.entity.tolist(), pairs.value.tolist(), strict=True)
    )


def test_pairs_are_counted_as_they_come_and_the_most_frequent_stay() -> None:
    rng = np.random.default_rng(8)
    entity, value = rng.integers(0, 30, (2, 2_000))
    entity[::50] = NONE
    branch = np.arange(2_000)
    known = entity != NONE
    expected = Counter(zip(entity[known].tolist(), value[known].tolist(), strict=True))
    first = {}
    for row in np.flatnonzero(known)[::-1].tolist():
        first[entity[row], value[row]] = row
    counts = PairCounts.none()
    for k in range(0, 2_000, 300):
        part = slice(k, k + 300)
        counts = counts.added(entity[part], value[part], branch[part])
    pairs = list(zip(counts.entity.tolist(), counts.value.tolist(), strict=True))
    assert pairs == sorted(expected)
    assert dict(zip(pairs, counts.count.tolist(), strict=True)) == expected
    assert counts.branch.tolist() == [first[pair] for pair in pairs]
    few = counts.most_frequent(100)
    kept = list(zip(few.entity.tolist(), few.value.tolist(), strict=True))
    assert kept == sorted(sorted(pairs, key=lambda pair: (-expected[pair], pair))[:100])
    assert len(counts.most_frequent(0)) == len(pairs)


def test_pairs_are_bounded_while_they_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(usual_values, "_ROWS_HELD", 50)
    rng = np.random.default_rng(8)
    often = rng.random(2_000) < 0.5
    value = np.where(often, rng.integers(0, 10, 2_000), np.arange(2_000) + 100)
    counter = PairCounter(PairCounts.none(), 40)
    sizes = []
    for k in range(0, 2_000, 50):
        counter.add(np.zeros(50, np.int64), value[k : k + 50], np.zeros(50, np.int64))
        sizes.append(len(counter._counts))
    assert max(sizes) <= 60
    counts = counter.counts()
    assert len(counts) == 40
    assert counts.value[:10].tolist() == list(range(10))
    assert counts.count[:10].sum() == often.sum()

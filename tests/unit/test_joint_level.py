"""The joint model's level: it rests on all clicks so far, whatever shares them, and it drifts."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipelines.features.ids import NONE
from pipelines.models.joint import JointModel
from pipelines.models.joint_state import JointSpec, JointState, RowNamespace

CONSTANT, SIDES = 1, np.array([10, 11])
# What every row has besides: coordinates that rise and fall together, as device or weekday do.
SHARED = 25
SPEC = JointSpec(
    rows=(
        RowNamespace("bias", 2.0, is_learnt=False),
        RowNamespace("side", 1.0, is_learnt=False),
        *(RowNamespace(f"shared_{k}", 0.15) for k in range(SHARED)),
    ),
    kinds=(),
    base=0,
    level=1,
    level_days=20,
)
PLAIN = replace(SPEC, level=-1)
RATES = np.array([0.02, 0.05])


def rows_of(rng, count, rates=RATES):
    """Rows of two sides that are clicked at their rates, and nothing else about them matters."""
    side = (rng.random(count) < 0.5).astype(np.int64)
    ids = np.empty((count, len(SPEC.rows)), np.int64)
    ids[:, 0], ids[:, 1] = CONSTANT, SIDES[side]
    ids[:, 2:] = 100 * np.arange(SHARED) + rng.integers(0, 3, (count, SHARED)) + 1_000
    return ids, (rng.random(count) < rates[side]).astype(np.uint8)


def started(spec, rates=RATES):
    mean = float(np.mean(rates))
    return JointState.new(spec).at_base(spec, CONSTANT, math.log(mean / (1 - mean)))


def learn(spec, state, ids, clicked):
    model = JointModel(spec, state, {})
    model.learn(ids, clicked, np.arange(len(clicked)))
    return model.end(0)


def promised(spec, state, ids):
    model = JointModel(spec, state, {})
    return 1 / (1 + np.exp(-model.sums(model.index(ids), model.means(0))))


def off_by(spec, seed, days=5, count=2_000):
    """Log of promised over true clicks of a day after some, by side."""
    rng = np.random.default_rng(seed)
    state = started(spec)
    for _ in range(days):
        state = learn(spec, state, *rows_of(rng, count))
    ids, _ = rows_of(rng, 4_000)
    p = promised(spec, state, ids)
    means = [p[ids[:, 1] == side].mean() for side in SIDES]
    return np.log(np.array(means) / RATES)


def test_a_level_is_as_sure_as_all_clicks_so_far_make_it_though_many_coordinates_share_them():
    found = np.array([off_by(SPEC, seed) for seed in range(20)])
    without = np.array([off_by(PLAIN, seed) for seed in range(20)])
    # 5 days of 1,000 rows a side; what the shared coordinates guess wrong adds to it.
    chance = 1 / np.sqrt(5 * 1_000 * RATES)
    for side in range(2):
        error, plain = (
            np.sqrt((found[:, side] ** 2).mean()),
            np.sqrt((without[:, side] ** 2).mean()),
        )
        assert error < 1.5 * chance[side]
        assert error < 0.75 * plain


def test_a_level_that_drifts_follows_what_it_has_become():
    walking = replace(SPEC, rows=(SPEC.rows[0], replace(SPEC.rows[1], walk=0.1), *SPEC.rows[2:]))
    promises = {}
    for name, spec in (("still", SPEC), ("walking", walking)):
        rng = np.random.default_rng(3)
        state = started(spec)
        for day in range(12):
            state = learn(spec, state, *rows_of(rng, 4_000, RATES if day < 8 else 2 * RATES))
        promises[name] = promised(spec, state, rows_of(rng, 4_000)[0]).mean() / RATES.mean()
    assert promises["still"] < 1.6
    assert 1.7 < promises["walking"] < 2.3


def test_levels_are_settled_in_the_first_days_only():
    rng = np.random.default_rng(9)
    first, second = rows_of(rng, 2_000), rows_of(rng, 2_000)
    once = replace(SPEC, level_days=1)
    state = learn(SPEC, started(SPEC), *first)
    assert learn(once, started(once), *first).b(0).tolist() == (state.b(0).tolist())
    later = [learn(spec, state, *second).b(0) for spec in (once, PLAIN, SPEC)]
    assert later[0].tolist() == later[1].tolist() != later[2].tolist()


def test_the_evidence_of_no_other_coordinate_is_touched():
    rng = np.random.default_rng(4)
    ids, clicked = rows_of(rng, 3_000)
    levelled, plain = (learn(spec, started(spec), ids, clicked) for spec in (SPEC, PLAIN))
    own = levelled.namespace == SPEC.level
    assert np.array_equal(levelled.g(0), plain.g(0))
    assert np.array_equal(levelled.b(0)[~own], plain.b(0)[~own])
    assert not np.array_equal(levelled.b(0)[own], plain.b(0)[own])


def test_rows_without_a_side_have_no_level_and_are_learnt():
    rng = np.random.default_rng(5)
    ids, clicked = rows_of(rng, 500)
    ids[:, 1] = NONE
    levelled, plain = (learn(spec, started(spec), ids, clicked) for spec in (SPEC, PLAIN))
    assert np.array_equal(levelled.b(0), plain.b(0))


def test_rows_in_parts_give_the_level_of_all_of_them():
    rng = np.random.default_rng(6)
    ids, clicked = rows_of(rng, 3_000)
    at_once = learn(SPEC, started(SPEC), ids, clicked)
    model = JointModel(SPEC, started(SPEC), {})
    for start in range(0, 3_000, 700):
        part = slice(start, start + 700)
        model.learn(ids[part], clicked[part], np.arange(3_000)[part])
    assert model.end(0).b(0) == pytest.approx(at_once.b(0), rel=1e-9)


@pytest.mark.parametrize("rate", [0.002, 0.02])
def test_a_first_day_that_begins_at_its_base_rate_promises_its_clicks(rate):
    ids, clicked = rows_of(np.random.default_rng(8), 8_000, np.array([rate, rate]))
    share = clicked.mean()
    state = learn(SPEC, started(SPEC, [share]), ids, clicked)
    assert promised(SPEC, state, ids).mean() == pytest.approx(share, rel=0.05)
    # At one half a level that is likely within 1 is expected, and hardly any are that far off.
    at_half = learn(SPEC, JointState.new(SPEC), ids, clicked)
    assert promised(SPEC, at_half, ids).mean() > 1.1 * share


def test_the_base_rate_of_the_first_day_stays_what_is_expected():
    rng = np.random.default_rng(9)
    state = started(SPEC)
    for _ in range(3):
        state = learn(SPEC, state, *rows_of(rng, 500))
    own = state.namespace == SPEC.base
    assert state.prior_mean(0)[own] == pytest.approx(math.log(0.035 / 0.965))


def test_a_level_is_the_same_where_coordinates_go_while_the_day_is_learnt():
    """Those that go were seen once: what is promised of the sample hardly changes."""
    rng = np.random.default_rng(7)
    ids, clicked = rows_of(rng, 4_000)
    ids[:, 2] = 10_000 + np.arange(4_000)
    # What goes was there before the sides were.
    ids[:500, 1] = NONE
    levels = []
    for most in (0, 200):
        model = JointModel(replace(SPEC, most=most), started(SPEC), {})
        for start in range(0, 4_000, 500):
            part = slice(start, start + 500)
            model.learn(ids[part], clicked[part], np.arange(4_000)[part])
        state = model.end(0)
        own = state.namespace == SPEC.level
        levels.append((state.b(0) / (state.g(0) + 1 / state.posteriors[0].variance[1]))[own])
    assert levels[1] == pytest.approx(levels[0], abs=0.02)

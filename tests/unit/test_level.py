"""The intercept is set, when learning is done, for the day that the model will serve."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize

from pipelines.features.rows import SlotRows
from pipelines.models.elementary import probabilities
from pipelines.models.ftrl_parameters import FtrlParameters
from pipelines.models.level import bias_slot, forecast, level_shift
from pipelines.models.level_prior import LevelPrior
from pipelines.models.linear import logits
from pipelines.models.train_model import train_model
from pipelines.models.training import Block, DenseInputs, new_learners

PARAMETERS = FtrlParameters(alpha=0.1, beta=1.0, l1=0.0, l2=0.0, bits=10)
PRIOR = LevelPrior(drift=0.02, surface=0.005, day=0.01, weekday=0.015, weekend=0.05)
STILL = LevelPrior(drift=0.0, surface=0.0, day=0.0, weekday=0.0, weekend=0.0)
MONDAY = 20_458  # 2026-01-05


def traffic(levels, a_day, *, seed=1, base=-3.0, search=False):
    """Logits, clicks, days and surface from Monday on: day k's true logits are levels[k] higher."""
    random = np.random.default_rng([seed, search])
    day = np.repeat(MONDAY + np.arange(len(levels)), a_day).astype(np.int32)
    logit = base + random.normal(0.0, 0.7, len(day))
    truth = probabilities(logit + np.asarray(levels)[day - MONDAY])
    clicked = (random.uniform(size=len(day)) < truth).astype(np.uint8)
    return logit, clicked, day, np.full(len(day), search)


def both(promoted, search):
    return tuple(np.concatenate(columns) for columns in zip(promoted, search, strict=True))


@pytest.mark.parametrize("a_day", [3, 60])
@pytest.mark.parametrize("base", [-3.0, 4.0])
def test_the_forecast_is_the_posterior_mode_carried_on(a_day, base):
    prior = LevelPrior(drift=0.2, surface=0.15, day=0.1, weekday=0.3, weekend=0.4)
    path = np.linspace(-1.0, 1.0, 12)
    rows = both(
        traffic(path, a_day, base=base), traffic(path[:5] + 1.0, 2 * a_day, base=base, search=True)
    )
    logit, clicked, day, search = rows
    known = np.arange(17) % 12 + MONDAY, np.arange(17) >= 12
    inverse = np.linalg.inv(prior.covariance(known, known, MONDAY - 1))
    group = day - MONDAY + 12 * search

    def minus_log_posterior(level):
        at = logit + level[group]
        loss = np.logaddexp(0.0, at).sum() - at[clicked == 1].sum()
        return loss + 0.5 * level @ inverse @ level

    mode = minimize(minus_log_posterior, np.zeros(17), method="BFGS", options={"gtol": 1e-7}).x
    served = np.array([MONDAY + 12]), np.array([False])
    expected = prior.covariance(served, known, MONDAY - 1)[0] @ inverse @ mode
    assert forecast(*rows, MONDAY + 12, prior) == pytest.approx(expected, abs=2e-5)


def test_where_nothing_moves_all_days_sum_to_their_clicks():
    logit, clicked, *rest = traffic([0.4] * 10, 2_000)
    shift = forecast(logit, clicked, *rest, MONDAY + 10, STILL)
    # The intercept's own prior weighs like one click.
    assert probabilities(logit + shift).sum() == pytest.approx(clicked.sum() - shift, abs=1e-6)


def test_a_market_is_followed_closer_with_search_and_than_by_any_plain_mean():
    errors = []
    days = MONDAY + np.arange(31), np.zeros(31, dtype=bool)
    root = np.linalg.cholesky(PRIOR.covariance(*(days, days), MONDAY - 1) + 1e-12 * np.eye(31))
    for seed in range(25):
        path = root @ np.random.default_rng(seed).normal(size=31)
        promoted = traffic(path[:30], 6_000, seed=seed)
        searched = traffic(path[:30], 18_000, seed=seed, search=True)
        found = [
            forecast(*rows, MONDAY + 30, PRIOR) for rows in (both(promoted, searched), promoted)
        ]
        for newest in (30, 7, 1):
            rows = (column[promoted[2] >= MONDAY + 30 - newest] for column in promoted)
            found.append(forecast(*rows, MONDAY + 30, STILL))
        errors.append(np.array(found) - path[30])
    ours, alone, month, week, day_before = np.sqrt(np.mean(np.square(errors), axis=0))
    assert ours < 0.95 * alone
    assert alone < 0.95 * min(month, week, day_before)


def test_the_level_of_search_itself_says_nothing_of_promoted_rows():
    promoted = traffic([0.0] * 14, 5_000)
    found = [
        forecast(*both(promoted, traffic([level] * 14, 5_000, search=True)), MONDAY + 14, PRIOR)
        for level in (-0.5, 0.5)
    ]
    assert found[0] == pytest.approx(found[1], abs=0.01)


@pytest.mark.parametrize("days", [26, 28])
def test_a_weekend_is_known_before_it_comes_and_forgotten_after_it(days):
    weekend = 0.15 * (np.arange(35) % 7 >= 5)
    rows = traffic(weekend[:days], 20_000)
    found = forecast(*rows, MONDAY + days, PRIOR)
    assert found == pytest.approx(weekend[days], abs=0.04)
    assert abs(forecast(*rows, MONDAY + days, STILL) - weekend[days]) > 0.04


def test_a_few_clicks_move_the_level_by_no_more_than_they_know():
    logit, day, search = np.full(100, -3.0), np.full(100, MONDAY), np.zeros(100, dtype=bool)
    none = forecast(logit, np.zeros(100, np.uint8), day, search, MONDAY + 1, PRIOR)
    assert -1.5 < none < -0.5
    every = forecast(logit, np.ones(100, np.uint8), day, search, MONDAY + 1, PRIOR)
    assert 3.0 < every < 20.0


def a_block(days, clicked, *, rate=0.1, seed=3):
    """Rows of the bias and two random features, one sampling rate."""
    n = len(days)
    slots = np.random.default_rng(seed).integers(0, 50, (n, 3)).astype(np.int32)
    slots[:, 0] = bias_slot(10)
    return Block(
        day=np.asarray(days, dtype=np.int32),
        order_key=np.arange(n, dtype=np.int64),
        clicked=np.asarray(clicked, dtype=np.uint8),
        is_search=np.zeros(n, dtype=np.bool_),
        glm_offset=np.full(n, -np.log(rate)),
        listing_key=np.zeros(n, dtype=np.int64),
        rows=SlotRows(np.arange(0, 3 * n + 1, 3, dtype=np.int64), slots.reshape(-1)),
    )


def weekend(day):
    """Whether a day is a Saturday or a Sunday."""
    return (day - MONDAY) % 7 >= 5


@pytest.fixture
def learnt():
    """A learner of twenty days."""
    days = np.repeat(np.arange(20), 200)
    block = a_block(days, np.random.default_rng(5).uniform(size=len(days)) < 0.2)
    learner = new_learners([19], PARAMETERS, search_days=14, promoted_days=15)[0]
    learner.learn(block)
    return learner, block


def test_the_level_is_that_of_the_day_after_the_end_day():
    """A model that has learnt up to a Friday serves a Saturday."""
    weekly = replace(PRIOR, weekend=0.5)
    day = np.repeat(MONDAY + np.arange(19), 300)
    block = a_block(day, np.random.default_rng(6).uniform(size=len(day)) < 0.2 + 0.2 * weekend(day))
    friday = MONDAY + 18
    (learner,) = new_learners([friday], PARAMETERS, search_days=14, promoted_days=19)
    learner.learn(block)
    logit = logits(learner.state.weights(), block.rows) + block.glm_offset
    rows = (logit, block.clicked, block.day, block.is_search)
    shift = level_shift(learner, [block], weekly)
    assert shift == forecast(*rows, friday + 1, weekly)
    assert shift > forecast(*rows, friday, weekly) + 0.3


def test_a_model_s_intercept_is_what_was_learnt_and_the_level_of_the_day_served():
    day = np.repeat(MONDAY + np.arange(19), 300)
    block = a_block(day, np.random.default_rng(6).uniform(size=len(day)) < 0.2 + 0.2 * weekend(day))
    features = pa.RecordBatch.from_pydict(
        {
            "ds": pa.array(block.day).cast(pa.date32()),
            "order_key": block.order_key,
            "clicked": block.clicked.astype(bool),
            "surface": ["promoted"] * len(day),
            "sampling_rate": np.full(len(day), 0.1),
            "listing_key": block.listing_key,
            "slots": block.rows.to_binary(),
        }
    )
    windows = {"search_days": 14, "promoted_days": 19}
    ((weights, end_day, summary),) = train_model(
        [features], "historical", [MONDAY + 18], PARAMETERS, level=PRIOR, dense=None, **windows
    )
    (learner,) = new_learners([end_day], PARAMETERS, **windows)
    learner.learn(block)
    assert summary["level_shift"] == level_shift(learner, [block], PRIOR) != 0.0
    z, n = (weights[name].to_numpy() for name in ("z", "n"))
    learnt = -z / ((PARAMETERS.beta + np.sqrt(n)) / PARAMETERS.alpha + PARAMETERS.l2)
    is_bias = weights["slot"].to_numpy() == bias_slot(10)
    expected = learnt + summary["level_shift"] * is_bias
    assert is_bias.sum() == 1
    assert weights["weight"].to_numpy() == pytest.approx(expected, rel=1e-12)


def test_days_outside_the_window_of_their_surface_do_not_count(learnt):
    learner, block = learnt
    later = a_block(np.full(50, 20), np.ones(50))
    older = a_block(np.full(50, 4), np.ones(50))
    search = replace(a_block(np.full(50, 5), np.ones(50)), is_search=np.ones(50, dtype=np.bool_))
    inside = a_block(np.full(50, 19), np.ones(50))
    shift = level_shift(learner, [block], PRIOR)
    assert level_shift(learner, [older, search, block, later], PRIOR) == shift
    assert level_shift(learner, [block, inside], PRIOR) > shift


def test_blocks_of_any_size_give_the_same_bits(learnt):
    learner, block = learnt
    parts = [block.where(np.arange(4_000) // 300 == k) for k in range(14)]
    assert level_shift(learner, parts, PRIOR) == level_shift(learner, [block], PRIOR)


def test_without_promoted_rows_nothing_moves(learnt):
    learner, _ = learnt
    assert level_shift(learner, [], PRIOR) == 0.0
    search = replace(a_block(np.full(9, 19), np.ones(9)), is_search=np.ones(9, dtype=np.bool_))
    assert level_shift(learner, [search], PRIOR) == 0.0


def test_what_the_dense_inputs_say_of_a_listing_is_not_taken_for_the_level():
    days = np.repeat(np.arange(20), 200)
    of = np.arange(len(days)) % 3  # 0 and 1 have a vector, 2 has none
    clicked = np.random.default_rng(5).uniform(size=len(days)) < np.array([0.4, 0.1, 0.2])[of]
    block = replace(a_block(days, clicked), listing_key=of.astype(np.int64))
    dense = DenseInputs(np.array([0, 1]), np.array([[1.0], [-1.0]], dtype=np.float32))
    (learner,) = new_learners([19], PARAMETERS, search_days=14, promoted_days=15, dense={19: dense})
    learner.learn(block)
    (weight,) = learner.state.dense_weights()
    said = weight * np.array([1.0, -1.0, 0.0])[of]
    logit = logits(learner.state.weights(), block.rows) + block.glm_offset + said
    inside = learner.is_inside(block)
    rows = (column[inside] for column in (logit, block.clicked, block.day, block.is_search))
    assert weight > 0.2
    assert level_shift(learner, [block], PRIOR) == pytest.approx(forecast(*rows, 20, PRIOR))


def test_a_day_without_any_vector_has_a_level_all_the_same(learnt):
    learner, block = learnt
    nothing = DenseInputs(np.empty(0, np.int64), np.empty((0, 2), np.float32))
    without = replace(learner, dense=nothing)
    assert level_shift(without, [block], PRIOR) == level_shift(learner, [block], PRIOR)


def test_what_was_learnt_is_not_changed(learnt):
    learner, block = learnt
    before = learner.state.table.copy()
    level_shift(learner, [block], PRIOR)
    assert np.array_equal(before, learner.state.table)

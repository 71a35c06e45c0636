"""The batch oracle is the optimum of the joint model's own posterior, content included."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from pipelines.features.joint_registry import JointRegistry
from tests.benchmarks.batch_oracle import compared
from tests.benchmarks.joint_market import JointDay, JointMarket, learnt_days, promised, replay
from tests.benchmarks.peers.markets import Market
from tests.support.joint import LISTINGS, PLACES, SPEC, USERS, WORDS, ids, traffic, world

PLANTED = world()
DAYS = 8
FIRST = date(2026, 1, 1)


def made(number: int) -> JointDay:
    """A day of the small planted world; every second row is promoted."""
    values, clicked = traffic(PLANTED, number, rows=600)
    count = len(clicked)
    words = [(50_000 + np.flatnonzero(row)).tolist() for row in PLANTED["has_word"]]
    return JointDay(
        FIRST + timedelta(days=number),
        ids(values),
        np.arange(count) + 10_000 * number,
        clicked,
        np.full(count, 0.3),
        np.full(count, 0.2),
        np.arange(count) % 2 == 0,
        np.zeros(count, dtype=bool),
        pa.table(
            {
                "entity": pa.repeat(pa.scalar("listing"), LISTINGS),
                "id": 10_000 + np.arange(LISTINGS),
                "parts": pa.array(words, pa.list_(pa.int64())),
                "kinds": pa.array([[0] * len(w) for w in words], pa.list_(pa.int32())),
            }
        ),
    )


@pytest.fixture(scope="module")
def market() -> JointMarket:
    days = tuple(made(number) for number in range(DAYS))
    judged = tuple(day.day for day in days[-2:])
    return JointMarket(Market("planted", Path(), judged), JointRegistry([]), SPEC, days)


def dense(days: tuple[JointDay, ...], model_state) -> np.ndarray:  # type: ignore[no-untyped-def]
    """The most probable effects, searched over a one-hot matrix: bias, places, users, listings'
    own, words."""
    starts = np.cumsum([0, 1, PLACES, USERS, LISTINGS])
    posterior = model_state.posteriors[0]
    sizes = [1, PLACES, USERS, LISTINGS, WORDS]
    variance = np.repeat([*posterior.variance, posterior.content_variance[0]], sizes)
    x = np.concatenate([one_hot(day) for day in days])
    y = np.concatenate([day.clicked for day in days])
    offset = np.concatenate([day.offset for day in days])

    def loss(effects: np.ndarray) -> tuple[float, np.ndarray]:
        logit = offset + x @ effects
        value = np.logaddexp(0.0, logit).sum() - y @ logit + 0.5 * (effects**2 / variance).sum()
        return float(value), x.T @ (expit(logit) - y) + effects / variance

    found = minimize(loss, np.zeros(starts[-1] + WORDS), jac=True, method="L-BFGS-B", tol=1e-10)
    return np.asarray(found.x)


def one_hot(day: JointDay) -> np.ndarray:
    starts = np.cumsum([0, 1, PLACES, USERS, LISTINGS])
    first = np.array([0, 10, 1_000, 10_000])
    x = np.zeros((len(day.ids), starts[-1] + WORDS))
    for column, (begin, low) in enumerate(zip(starts[:-1], first, strict=True)):
        x[np.arange(len(x)), begin + day.ids[:, column] - low] = 1.0
    x[:, starts[-1] :] = PLANTED["has_word"][day.ids[:, 3] - first[3]]
    return x


def test_the_oracle_of_each_day_is_a_dense_optimum_over_the_days_before(
    market: JointMarket,
) -> None:
    one_pass, at_once = compared(market)
    states = [model.state for day, model in learnt_days(SPEC, market.days) if market.is_judged(day)]
    expected = []
    for back, state in zip((2, 1), states, strict=True):
        effects = dense(market.days[:-back], state)
        day = market.days[-back]
        expected.append(expit(one_hot(day)[day.is_promoted] @ effects))
    assert at_once.p == pytest.approx(np.concatenate(expected), abs=2e-3)
    assert one_pass.p == pytest.approx(at_once.p, abs=0.1)
    assert np.corrcoef(one_pass.p, at_once.p)[0, 1] > 0.97


def test_a_replay_is_judged_by_what_was_known_the_day_before(market: JointMarket) -> None:
    whole = replay(market)
    assert whole.rows.truth.tolist() == [0.2] * 600
    assert np.unique(whole.day).tolist() == list(market.market.judged)
    last = market.days[-1]
    unlike = JointDay(**{**vars(last), "clicked": 1 - last.clicked})
    assert np.array_equal(replay(market, days=(*market.days[:-1], unlike)).p, whole.p)
    before = JointDay(**{**vars(market.days[-3]), "clicked": 1 - market.days[-3].clicked})
    changed = (*market.days[:-3], before, *market.days[-2:])
    assert not np.array_equal(replay(market, days=changed).p, whole.p)
    models = [m for d, m in learnt_days(SPEC, market.days) if market.is_judged(d)]
    assert len(models) == 2
    assert len(promised(models[0], market.days[-2])) == 300

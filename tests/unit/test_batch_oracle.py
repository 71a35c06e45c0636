"""The batch oracle is the optimum of the joint model's own posterior, content included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from pipelines.models.joint_state import JointState
from tests.benchmarks.batch_oracle import compared
from tests.benchmarks.joint_market import JointDay, JointMarket, learnt_days, promised, replay
from tests.support.joint import LISTINGS, PLACES, SPEC, USERS, WORDS
from tests.support.joint_market import PLANTED, planted_market

STARTS = np.cumsum([0, 1, PLACES, USERS, LISTINGS])


@pytest.fixture(scope="module")
def market() -> JointMarket:
    return planted_market()


def dense(days: tuple[JointDay, ...], state: JointState) -> np.ndarray:
    """The most probable effects of bias, places, users, listings' own and words."""
    posterior = state.posteriors[0]
    sizes = [1, PLACES, USERS, LISTINGS, WORDS]
    variance = np.repeat([*posterior.variance, posterior.content_variance[0]], sizes)
    x = np.concatenate([one_hot(day) for day in days])
    y = np.concatenate([day.clicked for day in days])
    offset = np.concatenate([day.offset for day in days])

    def loss(effects: np.ndarray) -> tuple[float, np.ndarray]:
        logit = offset + x @ effects
        value = np.logaddexp(0.0, logit).sum() - y @ logit + 0.5 * (effects**2 / variance).sum()
        return float(value), x.T @ (expit(logit) - y) + effects / variance

    found = minimize(loss, np.zeros(STARTS[-1] + WORDS), jac=True, method="L-BFGS-B", tol=1e-10)
    return np.asarray(found.x)


def one_hot(day: JointDay) -> np.ndarray:
    first = np.array([0, 10, 1_000, 10_000])
    x = np.zeros((len(day.ids), STARTS[-1] + WORDS))
    for column, (begin, low) in enumerate(zip(STARTS[:-1], first, strict=True)):
        x[np.arange(len(x)), begin + day.ids[:, column] - low] = 1.0
    x[:, STARTS[-1] :] = PLANTED["has_word"][day.ids[:, 3] - first[3]]
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
    unlike = replace(last, clicked=1 - last.clicked)
    assert np.array_equal(replay(market, days=(*market.days[:-1], unlike)).p, whole.p)
    before = replace(market.days[-3], clicked=1 - market.days[-3].clicked)
    changed = (*market.days[:-3], before, *market.days[-2:])
    assert not np.array_equal(replay(market, days=changed).p, whole.p)
    judged = [len(promised(m, d)) for d, m in learnt_days(SPEC, market.days) if market.is_judged(d)]
    assert judged == [300, 300]

"""Standard errors of the joint model: they say how far the planted truth is away."""

import numpy as np
import pytest

from pipelines.features.ids import NONE
from pipelines.models.content_variances import content_variances
from pipelines.models.joint import JointModel
from pipelines.models.joint_state import JointState
from pipelines.scorer.scorer import Scores
from tests.support.joint import FIRST, LISTINGS, SPEC, WORDS, contents, ids, traffic, world

SHOWN, DAYS = 90, 12
NINE_TENTHS = 1.645
PLANTED = world()


@pytest.fixture(scope="module")
def learnt() -> JointModel:
    """The day after so many days in which the last listings were never shown."""
    state = JointState.new(SPEC)
    for day in range(DAYS):
        model = JointModel(SPEC, state, {"listing": contents(PLANTED)})
        values, clicked = traffic(PLANTED, day, listings=SHOWN)
        model.learn(ids(values), clicked, np.arange(len(values)))
        state = model.end(day)
    return JointModel(SPEC, state, {"listing": contents(PLANTED)})


def listing_rows():
    """A row of every listing, and of nothing else."""
    rows = np.full((LISTINGS, len(SPEC.rows)), NONE)
    rows[:, 3] = FIRST[3] + np.arange(LISTINGS)
    return rows


def test_the_interval_of_a_listing_holds_the_truth_about_as_often_as_it_says(learnt):
    scale = learnt.state.chosen
    rows = listing_rows()
    located = learnt.located(rows)
    predicted = learnt.sums(located[1], learnt.means(scale))
    variance = learnt.row_variances(*located, learnt.variances(scale), scale).sum(axis=1)
    true = PLANTED["has_word"] @ PLANTED["word"] + PLANTED["own"]
    error = predicted - true
    error -= error[:SHOWN].mean()  # the bias has the mean of all listings
    held = np.abs(error) < NINE_TENTHS * np.sqrt(variance)
    assert 0.82 < held[:SHOWN].mean() < 0.98
    assert held[SHOWN:].mean() > 0.7
    assert variance[SHOWN:].min() > variance[:SHOWN].max()


def test_what_is_not_known_has_the_prior_s_variance_and_what_is_not_there_none(learnt):
    scale = learnt.state.chosen
    rows = ids(np.array([[0, 0, 5, 3], [0, 0, 5, 3]]))
    rows[1, 2] = 999_999
    rows[0, 1] = NONE
    variance = learnt.row_variances(*learnt.located(rows), learnt.variances(scale), scale)
    prior = learnt.state.posteriors[scale].variance
    assert variance[0, 1] == 0.0
    assert variance[1, 2] == prior[2]
    assert 0.0 < variance[0, 2] < prior[2]


def test_a_content_s_variance_is_that_of_its_weight_given_the_others(learnt):
    state, scale = learnt.state, learnt.state.chosen
    posterior = state.posteriors[scale]
    evidence = learnt.table[: len(state.ids), 2 * scale + 1]
    g = evidence[state.namespace == 3]
    weight = g / (1.0 + g * posterior.variance[3])
    of = state.ids[state.namespace == 3] - FIRST[3]
    x = PLANTED["has_word"][of].astype(float)
    precision = x.T @ (weight[:, None] * x) + np.eye(WORDS) / posterior.content_variance[0]
    expected = 1.0 / np.diag(precision)
    found = content_variances(SPEC, state, scale, evidence)
    np.testing.assert_allclose(found, expected[state.content_ids - 50_000], rtol=1e-12)


@pytest.mark.parametrize("logit", [-5.0, -3.0, -1.0])
def test_the_mean_of_draws_is_the_probability(logit):
    draws = np.random.default_rng(3).normal(size=20_000)
    curve = {"parameters": [1.0, 1.0, 0.0]}
    whole = np.full(len(draws), logit)
    scores = Scores(whole, np.full(len(draws), 0.7), np.ones(len(draws)), curve)
    assert scores.at(draws).mean() == pytest.approx(scores.p_click[0], rel=0.04)
    assert np.all(scores.at(-1.645) < scores.p_click)
    assert np.all(scores.p_click < scores.at(1.645))

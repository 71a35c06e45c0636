"""Dense inputs as content: exact, whatever their unit, worth something only where they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.ids import value_ids
from pipelines.features.joint_dense import dense_values, usual_length, vector_lengths
from pipelines.models.contents import Contents
from pipelines.models.joint import JointModel
from pipelines.models.joint_content import STEPS, Design, units
from pipelines.models.joint_state import ContentKind, JointState
from tests.support.joint import FIRST, LISTINGS, PLACES, SPEC, USERS, ids, stored

KINDS = (*SPEC.kinds, ContentKind("vector", "listing", 0.03, is_dense=True))
WITH_VECTOR = replace(SPEC, kinds=KINDS)
SIZE = 6
RANDOM = np.random.default_rng(5)
VECTOR = RANDOM.normal(size=(LISTINGS, SIZE)).astype(np.float32)
WORTH = RANDOM.normal(scale=0.3, size=SIZE)
WORD = RANDOM.integers(0, 8, LISTINGS)


def contents(vector):
    """One word and a vector of each listing."""
    size = vector.shape[1]
    parts = np.column_stack([50_000 + WORD, np.tile(90_000 + np.arange(size), (LISTINGS, 1))])
    return Contents(
        FIRST[3] + np.arange(LISTINGS, dtype=np.int64),
        np.arange(LISTINGS + 1, dtype=np.int64) * (size + 1),
        parts.ravel().astype(np.int64),
        np.tile(np.array([0] + [1] * size, np.int16), LISTINGS),
        np.column_stack([np.ones(LISTINGS), vector]).astype(np.float64).ravel(),
    )


OWN, USER = 0.4 * RANDOM.normal(size=LISTINGS), 0.4 * RANDOM.normal(size=USERS)


def traffic(day, worth, rows=1500, listings=LISTINGS, own=0.0):
    """Values of each row, clicks, and their true probabilities."""
    random = np.random.default_rng([3, day])
    values = np.stack(
        [np.zeros(rows, np.int64), random.integers(0, PLACES, rows),
         random.integers(0, USERS, rows), random.integers(0, listings, rows)], axis=1,
    )  # fmt: skip
    logit = -1.5 - 0.3 * values[:, 1] + (VECTOR @ worth + own * OWN)[values[:, 3]]
    truth = 1 / (1 + np.exp(-logit - own * USER[values[:, 2]]))
    return values, (random.random(rows) < truth).astype(np.uint8), truth


def learn_days(count, spec, held, worth=WORTH, listings=LISTINGS, state=None, first=0):
    state = state or JointState.new(spec)
    for day in range(first, first + count):
        model = JointModel(spec, state, {"listing": held})
        values, clicked, _ = traffic(day, worth, listings=listings)
        model.learn(ids(values), clicked, np.arange(len(clicked)))
        state = model.end(day)
    return state


def prior_means(state, spec=WITH_VECTOR):
    own = state.namespace == spec.row_number("listing")
    return state.prior_mean(0)[own]


def test_content_with_numbers_is_the_dense_solution():
    held = contents(VECTOR * np.float32([100, 1, 0.01, 3, 1, 1]))
    state = learn_days(1, WITH_VECTOR, held)
    own = state.namespace == 3
    b, g = state.b(0)[own], state.g(0)[own]
    x = np.column_stack([np.eye(8)[WORD], held.values.reshape(LISTINGS, -1)[:, 1:]])
    deviation = np.append(np.ones(8), x[:, 8:].std(axis=0))
    prior = np.append(np.full(8, 0.1), np.full(SIZE, 0.03)) / deviation
    tau2 = SPEC.rows[3].prior ** 2
    normal = x.T @ ((g / (1 + g * tau2))[:, None] * x) + np.diag(1 / prior**2)
    beta = np.linalg.solve(normal, x.T @ (b / (1 + g * tau2)))
    assert STEPS > 8  # Conjugate gradients end after as many steps as there are contents.
    assert np.abs(prior_means(state) - x @ beta).max() < 1e-3
    assert np.abs(x @ beta).max() > 0.1


def test_the_unit_of_a_number_does_not_matter():
    plain = prior_means(learn_days(12, WITH_VECTOR, contents(VECTOR)))
    other = VECTOR * np.float32([1024, 2**-20, 1, 1, 2, 4])
    assert prior_means(learn_days(12, WITH_VECTOR, contents(other))) == pytest.approx(
        plain, abs=1e-9
    )


def test_a_listing_that_was_never_shown_is_known_by_its_vector_and_the_prior_is_learnt():
    shown = LISTINGS - 30
    state = learn_days(31, WITH_VECTOR, contents(VECTOR), listings=shown)
    model = JointModel(WITH_VECTOR, state, {"listing": contents(VECTOR)})
    rows = np.zeros((30, 4), np.int64)
    rows[:, 3] = np.arange(shown, LISTINGS)
    mean = model.means(0)[model.index(ids(rows))[:, 3]]
    assert np.corrcoef(mean, (VECTOR @ WORTH)[shown:])[0, 1] > 0.9
    learnt = np.sqrt(state.posteriors[0].content_variance[1])
    # Six numbers tell their own spread; the registered prior counts as ten.
    told = np.sqrt((np.sum(WORTH**2) + SPEC.strength * 0.03**2) / (SIZE + SPEC.strength))
    assert learnt == pytest.approx(told, rel=0.2)


def test_useless_numbers_cost_next_to_nothing():
    nothing = np.zeros(SIZE)
    loss = {}
    for name, spec, vector in (
        ("without", SPEC, VECTOR[:, :0]),
        ("with", WITH_VECTOR, np.random.default_rng(1).normal(size=(LISTINGS, 16))),
    ):
        held, state, excess = contents(vector.astype(np.float32)), JointState.new(spec), []
        for day in range(20):
            model = JointModel(spec, state, {"listing": held})
            values, clicked, truth = traffic(day, nothing, own=1.0)
            index = model.index(ids(values))
            p = 1 / (1 + np.exp(-model.sums(index, model.means(0))))
            if day >= 5:
                kept = truth * np.log(truth / p) + (1 - truth) * np.log((1 - truth) / (1 - p))
                excess.append(kept.mean())
            model.learn(ids(values), clicked, np.arange(len(clicked)))
            state = model.end(day)
        loss[name] = np.mean(excess)
    assert loss["with"] < 1.02 * loss["without"]


def test_a_state_with_numbers_goes_on_to_the_same_bits_after_it_was_stored():
    held = contents(VECTOR)
    whole = learn_days(7, WITH_VECTOR, held)
    half = learn_days(4, WITH_VECTOR, held)
    kept = stored(WITH_VECTOR, half)
    resumed = learn_days(3, WITH_VECTOR, Contents.none(), state=kept, first=4)
    assert np.array_equal(whole.evidence, resumed.evidence)
    for name in ("prior_mean", "beta", "content_variance"):
        assert np.array_equal(
            getattr(whole.posteriors[0], name), getattr(resumed.posteriors[0], name)
        ), name


def test_units_are_deviations_over_those_that_have_the_number_and_never_nothing():
    design = Design(
        np.array([0, 3, 6, 7]), np.array([0, 1, 2, 0, 1, 2, 2], np.int32),
        np.array([1.0, 3.0, 5.0, 1.0, 7.0, 5.0, 5.0]),
    )  # fmt: skip
    dense = np.array([False, True, True])
    assert units(design, dense).tolist() == [1.0, 2.0, 5.0]
    nothing = replace(design, values=np.zeros(7))
    assert units(nothing, dense).tolist() == [1.0, 1.0, 1.0]


def test_vectors_of_the_most_frequent_length_count_and_no_number_is_0():
    rows = [[1.0, 2.0], None, [3.0], [4.0, None], [], [float("nan"), 5.0]]
    found = dense_values("image", pa.array(rows, pa.list_(pa.float32())))
    assert found.owner.tolist() == [0, 0, 3, 3, 5, 5]
    assert found.values.tolist() == [1.0, 2.0, 4.0, 0.0, 0.0, 5.0]
    assert vector_lengths(pa.array(rows, pa.list_(pa.float32()))) == {1: 1, 2: 3}
    assert found.ids.tolist() == value_ids("image", pa.array(["0/2", "1/2"])).tolist()
    longer = dense_values("image", pa.array([[1.0, 2.0, 3.0]], pa.list_(pa.float32())))
    assert not set(longer.ids.tolist()) & set(found.ids.tolist())


def test_the_length_that_counts_is_that_of_the_day_and_not_of_some_of_its_rows():
    column = pa.array([[1.0], [2.0], [3.0, 4.0]], pa.list_(pa.float32()))
    assert usual_length({1: 2, 2: 5}) == 2
    assert usual_length({3: 5, 2: 5}) == 2
    assert usual_length({}) == 0
    assert dense_values("image", column, 2).owner.tolist() == [2, 2]
    assert dense_values("image", column).owner.tolist() == [0, 1]
    assert len(dense_values("image", column, 0).values) == 0


def test_a_column_of_numbers_is_a_vector_of_one():
    found = dense_values("price", pa.array([1.5, None, 2.5]))
    assert (found.owner.tolist(), found.values.tolist()) == ([0, 2], [1.5, 2.5])
    assert len(found.ids) == 1
    for kind in (pa.float64(), pa.list_(pa.float32())):
        assert len(dense_values("nothing", pa.nulls(3, kind)).values) == 0

"""What the parts of the joint model promise: kernels, content, the choice of a scale."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.models import joint_kernels as kernels
from pipelines.models.contents import Contents
from pipelines.models.joint import JointModel
from pipelines.models.joint_content import (
    Design,
    Ridge,
    learn_content_priors,
    random_signs,
)
from pipelines.models.joint_state import JointSpec, JointState, RowNamespace
from tests.support.joint import FIRST, LISTINGS, SPEC, contents, ids, traffic, world

PLANTED = world()


def learnt(**given):
    """The table after one row of two coordinates, the second at a prior mean of .5."""
    table = np.array([[0.0, 0.0], [0.3 + 0.5, 2.0]])
    logits = np.empty((1, 1))
    row = {
        "index": np.array([[0, 1]], np.int32), "clicked": np.ones(1, np.uint8),
        "offset": np.zeros(1), "weight": np.ones(1), "precision": np.array([[4.0], [1.0]]),
    } | given  # fmt: skip
    done = kernels.learn_rows(
        table, row["precision"], row["index"], row["clicked"], row["offset"], row["weight"], logits
    )
    assert done == 1
    return table, logits[0, 0]


@pytest.mark.parametrize("clicked", [0, 1])
def test_a_row_teaches_a_laplace_step(clicked):
    table, logit = learnt(offset=np.array([-1.0]), clicked=np.array([clicked], np.uint8))
    mean = (0.3 + 0.5) / (2.0 + 1.0)
    assert logit == pytest.approx(-1.0 + mean)
    p = 1 / (1 + np.exp(-logit))
    assert table[:, 1] == pytest.approx([p * (1 - p), 2.0 + p * (1 - p)])
    error = clicked - p
    assert table[:, 0] == pytest.approx([error, 0.3 + 0.5 + error + p * (1 - p) * mean])


def test_a_row_of_weight_3_teaches_three_times_as_much():
    nothing = np.array([[0.0, 0.0], [0.8, 2.0]])
    once, thrice = learnt()[0] - nothing, learnt(weight=np.array([3.0]))[0] - nothing
    assert thrice == pytest.approx(3.0 * once)


def test_a_coordinate_that_is_twice_in_a_row_counts_twice_by_its_mean_before_the_row():
    twice, logit = learnt(index=np.array([[1, 1]], np.int32), precision=np.ones((2, 1)))
    mean = 0.8 / 3.0
    p = 1 / (1 + np.exp(-2.0 * mean))
    assert logit == pytest.approx(2.0 * mean)
    assert twice[1, 1] == pytest.approx(2.0 + 2.0 * p * (1 - p))


def test_a_walk_widens_up_to_the_prior_and_leaves_the_mean():
    table = np.array([[9.0, 9.0, 2.0, 96.0], [9.0, 9.0, 0.0, 0.0], [9.0, 9.0, 1.0, 1.0]])
    before = 1 / (table[:, 3] + 4.0)
    mean = table[:, 2] * before
    kernels.walk(table, 1, 4.0, 0.1)
    after = 1 / (table[:, 3] + 4.0)
    assert np.all(table[:, :2] == 9.0)
    assert after == pytest.approx(np.minimum(before + 0.01, 0.25))
    assert table[:, 2] * after == pytest.approx(mean)


def test_what_is_learnt_under_one_prior_can_be_read_under_another():
    """On linear rows exactly, on clicks nearly: b and G hold no prior."""
    states = []
    for prior in (0.2, 0.8):
        rows = tuple(replace(r, prior=prior) if r.name == "place" else r for r in SPEC.rows)
        model = JointModel(replace(SPEC, rows=rows), JointState.new(replace(SPEC, rows=rows)), {})
        for day in range(3):
            values, clicked = traffic(PLANTED, day)
            model.learn(ids(values), clicked, np.arange(len(clicked)) + 10_000 * day)
        states.append(model.table[np.isin(model.ids, FIRST[1] + np.arange(4))])
    narrow, wide = states
    read = narrow[:, 0] / (narrow[:, 1] + 1 / 0.8**2)
    assert read == pytest.approx(wide[:, 0] / (wide[:, 1] + 1 / 0.8**2), abs=0.1)


def test_fisher_scoring_finds_the_planted_variance():
    rng = np.random.default_rng(2)
    g = rng.gamma(2.0, 4.0, 20_000)
    weight = rng.normal(scale=0.4, size=len(g))
    table = np.zeros((len(g) + 5, 2))
    table[: len(g), 0] = g * weight + np.sqrt(g) * rng.normal(size=len(g))
    table[: len(g), 1] = g
    variance = 0.01
    for _ in range(20):
        above, below = kernels.fisher_sums(table, 0, variance)
        variance = above / below
    assert variance**0.5 == pytest.approx(0.4, rel=0.03)


@pytest.fixture(scope="module")
def ridge():
    rng = np.random.default_rng(4)
    x = rng.random((3_000, 60)) < 0.1
    g = rng.gamma(2.0, 3.0, len(x))
    value = x @ rng.normal(scale=0.3, size=60) + rng.normal(scale=0.5, size=len(x))
    b = g * value + np.sqrt(g) * rng.normal(size=len(x))
    offsets = np.append(0, np.cumsum(x.sum(axis=1)))
    design = Design(offsets, np.nonzero(x)[1].astype(np.int32), np.ones(offsets[-1]))
    return x, Ridge(design, b, g, np.full(60, 1 / 0.3**2), 0.5**2)


def test_content_is_that_of_a_dense_solve(ridge):
    x, made = ridge
    weight = made.g / (1 + made.g * made.residual)
    normal = x.T @ (weight[:, None] * x) + np.diag(made.precision)
    expected = np.linalg.solve(normal, x.T @ (made.b / (1 + made.g * made.residual)))
    assert made.solve(np.zeros(60)) == pytest.approx(expected, abs=2e-3)
    spread = np.mean([t**2 for s in range(60) for t in made.samples(random_signs(s, 0, made))], 0)
    assert spread.mean() == pytest.approx(np.linalg.inv(normal).diagonal().mean(), rel=0.15)


@pytest.mark.parametrize("start", [(0.1, 0.2), (0.6, 1.0)])
def test_variances_of_content_and_of_what_it_does_not_say_are_found(ridge, start):
    made, kind = ridge[1], np.zeros(60, np.int32)
    variance, residual = np.array([start[0] ** 2]), start[1] ** 2
    for day in range(25):
        made = replace(made, precision=1 / variance[kind], residual=residual)
        solved = made.solve(np.zeros(60))
        variance, residual = learn_content_priors(
            made, solved, random_signs(day, 3, made), kind, np.ones(60), variance,
            np.array([0.01]), 0.16, strength=1.0, smallest=0.005, largest=3.0,
        )  # fmt: skip
    assert variance[0] ** 0.5 == pytest.approx(0.3, rel=0.2)
    assert residual**0.5 == pytest.approx(0.5, rel=0.06)


def test_no_variance_of_content_becomes_larger_than_the_largest(ridge):
    made, kind = ridge[1], np.zeros(60, np.int32)
    variance, residual = learn_content_priors(
        made, made.solve(np.zeros(60)), random_signs(1, 3, made), kind, np.ones(60),
        np.array([0.3**2]), np.array([0.01]), 0.16, strength=1.0, smallest=0.005, largest=0.2,
    )  # fmt: skip
    assert (variance[0], residual) == (0.2**2, 0.2**2)


def test_variances_of_content_that_little_is_known_of_do_not_shrink():
    rng = np.random.default_rng(6)
    x = rng.random((1_500, 400)) < 0.01
    g = rng.gamma(2.0, 3.0, len(x))
    value = x @ rng.normal(scale=0.3, size=400) + rng.normal(scale=0.5, size=len(x))
    offsets = np.append(0, np.cumsum(x.sum(axis=1)))
    design = Design(offsets, np.nonzero(x)[1].astype(np.int32), np.ones(offsets[-1]))
    made = Ridge(
        design, g * value + np.sqrt(g) * rng.normal(size=len(x)), g, np.full(400, 1 / 0.1**2), 0.16
    )
    kind, variance, residual = np.zeros(400, np.int32), np.array([0.01]), 0.16
    for day in range(30):
        made = replace(made, precision=1 / variance[kind], residual=residual)
        variance, residual = learn_content_priors(
            made, made.solve(np.zeros(400)), random_signs(day, 3, made), kind, np.ones(400),
            variance, np.array([0.01]), 0.16, strength=1.0, smallest=0.005, largest=3.0,
        )  # fmt: skip
    assert variance[0] ** 0.5 == pytest.approx(0.3, rel=0.2)


def of_gains(*gains):
    """A state with such a gain and such summed squares of daily gains at each scale."""
    spec = replace(SPEC, scales=tuple(4.0**k for k in range(len(gains))))
    state = JointState.new(spec)
    posteriors = [
        replace(p, gain=gain, gain_squares=squares)
        for p, (gain, squares) in zip(state.posteriors, gains, strict=True)
    ]
    return replace(state, posteriors=tuple(posteriors))


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        (((0, 0), (0, 0), (0, 0)), 0),
        (((0, 0), (1.9, 1), (1.5, 1)), 0),
        (((0, 0), (2.1, 1), (1.9, 1)), 1),
        (((0, 0), (2.1, 1), (9.0, 4)), 2),
        (((0, 0), (-9.0, 1), (-9.0, 1)), 0),
    ],
)
def test_another_scale_is_chosen_where_it_gained_more_than_two_standard_errors(gains, chosen):
    assert of_gains(*gains).chosen == chosen


def test_a_scale_gains_what_the_first_loses_more():
    spec = replace(SPEC, scales=(1.0, 16.0))
    state = JointState.new(spec)
    losses = np.zeros(2)
    for day in range(3):
        model = JointModel(spec, state, {"listing": contents(PLANTED)})
        values, clicked = traffic(PLANTED, day)
        for scale, logits in enumerate(model.learn(ids(values), clicked, np.arange(len(clicked)))):
            losses[scale] += np.sum(np.logaddexp(0, logits) - clicked * logits)
        state = model.end(day)
    assert state.posteriors[1].gain == pytest.approx(losses[0] - losses[1])
    assert state.posteriors[0].gain == 0.0
    assert state.posteriors[1].variance[0] == spec.rows[0].prior ** 2
    assert state.posteriors[1].variance[3] == pytest.approx(16 * spec.rows[3].prior ** 2)


def test_a_variance_moves_by_a_factor_of_four_a_day_at_most():
    rng = np.random.default_rng(8)
    rows = np.zeros((6_000, 4), np.int64)
    rows[:, 2] = rng.integers(0, 60, len(rows))
    # Users who always click or never do: far wider than registered.
    clicked = (rows[:, 2] % 2).astype(np.uint8)
    model = JointModel(SPEC, JointState.new(SPEC), {})
    model.learn(ids(rows), clicked, np.arange(len(rows)))
    assert model.end(0).posteriors[0].variance[2] == pytest.approx(4 * 0.3**2)


def test_a_namespace_with_a_walk_is_less_certain_every_morning():
    values, clicked = traffic(PLANTED, 0)
    spread = []
    for step in (0.0, 0.1):
        rows = tuple(replace(r, walk=step) if r.name == "place" else r for r in SPEC.rows)
        spec = replace(SPEC, rows=rows)
        model = JointModel(spec, JointState.new(spec), {})
        model.learn(ids(values), clicked, np.arange(len(clicked)))
        morning = JointModel(spec, model.end(0), {})
        own = {number: morning.namespace == number for number in (1, 2)}
        spread.append({number: morning.variances(0)[rows] for number, rows in own.items()})
    still, walking = spread
    assert walking[1] == pytest.approx(np.minimum(still[1] + 0.01, 0.3**2))
    assert np.array_equal(walking[2], still[2])


def test_a_registered_variance_counts_as_much_as_it_is_told_to():
    values, clicked = traffic(PLANTED, 0)
    variances = []
    for strength in (1.0, 1e9):
        spec = replace(SPEC, strength=strength)
        model = JointModel(spec, JointState.new(spec), {})
        model.learn(ids(values), clicked, np.arange(len(clicked)))
        variances.append(model.end(0).posteriors[0].variance[2])
    assert variances[1] == pytest.approx(0.3**2, rel=1e-4)
    assert abs(variances[0] - 0.3**2) > 0.002


def test_a_listing_that_has_left_the_snapshot_keeps_its_content():
    state = JointState.new(SPEC)
    for day in range(4):
        model = JointModel(SPEC, state, {"listing": contents(PLANTED)} if day == 0 else {})
        values, clicked = traffic(PLANTED, day)
        model.learn(ids(values), clicked, np.arange(len(clicked)))
        state = model.end(day)
    assert len(state.contents["listing"]) == LISTINGS
    own = state.ids >= FIRST[3]
    assert np.abs(state.prior_mean(0)[own]).max() > 0.01


def test_a_listing_without_evidence_is_forgotten_and_comes_back_with_its_content():
    state = JointState.new(SPEC)
    model = JointModel(SPEC, state, {"listing": contents(PLANTED)})
    values, clicked = traffic(PLANTED, 0, listings=40)
    model.learn(ids(values), clicked, np.arange(len(clicked)))
    state = model.end(0)
    assert len(state.contents["listing"]) == 40
    again = JointModel(SPEC, state, {"listing": contents(PLANTED)})
    place = again.index(np.array([[FIRST[0], FIRST[1], FIRST[2], FIRST[3] + 100]]))[0, 3]
    assert place >= 0


def test_the_order_of_two_calls_has_to_ascend():
    values, clicked = traffic(PLANTED, 0, rows=20)
    model = JointModel(SPEC, JointState.new(SPEC), {})
    model.learn(ids(values), clicked, np.arange(20))
    with pytest.raises(ValueError, match="row 0: the order is not strictly ascending"):
        model.learn(ids(values), clicked, np.arange(19, 39))


def test_an_entity_without_parts_has_a_prior_mean_of_0():
    nothing = Contents(
        np.array([FIRST[3]]), np.zeros(2, np.int64), np.empty(0, np.int64),
        np.empty(0, np.int16), np.empty(0),
    )  # fmt: skip
    model = JointModel(SPEC, JointState.new(SPEC), {"listing": nothing})
    values, clicked = traffic(PLANTED, 0, rows=200, listings=1)
    model.learn(ids(values), clicked, np.arange(200))
    state = model.end(0)
    assert state.prior_mean(0).tolist() == [0.0] * len(state.ids)


@pytest.mark.parametrize("largest", [1.5, 2.0])
def test_no_variance_becomes_larger_than_the_largest(largest):
    spec = JointSpec((RowNamespace("shelf", 1.0),), (), strength=0.01, largest=largest)
    shelves = np.arange(400, dtype=np.int64)[:, None] % 2 + 7
    clicked = (shelves[:, 0] == 7).astype(np.uint8)
    state = JointState.new(spec)
    for day in range(4):
        model = JointModel(spec, state, {})
        model.learn(shelves, clicked, np.arange(400))
        state = model.end(day)
    assert state.posteriors[0].variance == pytest.approx([largest**2])

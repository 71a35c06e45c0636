"""A joint model that is proven worse than click rates gives way to what is proven better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from jobs.setup.config_layers import load_config
from pipelines.models.correction import STEPS, Correction, StackInputs, fit_correction
from pipelines.models.ensemble import EnsembleInputs
from pipelines.models.fields import coded
from pipelines.models.gain import gain_over_rates
from pipelines.models.step_down import at_rates, step_down

ROWS = 20_000
LEVEL = load_config(environment={}).ensemble.correction.level
random = np.random.default_rng(3)
DAY = np.sort(random.integers(0, 4, ROWS)).astype(np.int32)
USER = random.integers(0, 2_000, ROWS)
BAND = random.integers(0, 4, ROWS)
LISTING = random.normal(0.0, 0.8, ROWS)
CONTEXT = np.array([0.8, 0.2, -0.3, -0.9])[BAND]
TRUTH = -2.0 + LISTING + CONTEXT
CLICKED = random.random(ROWS) < 1 / (1 + np.exp(-TRUTH))
WRONG = random.normal(-2.0, 1.5, ROWS)
# What a listing's clicks say of it, and what is promised by that at its position.
LISTING_RATE = 0.7 * LISTING


def rows(seen: np.ndarray = LISTING_RATE) -> pa.Table:
    """Rows of predictions whose rates know as much of listings."""
    p = 1 / (1 + np.exp(-(seen + CONTEXT - 1.9)))
    return pa.table({"p_baseline": p})


def inputs(*, joint: bool, content: bool) -> StackInputs:
    """Models that know the truth or are wrong about it."""

    def listing(knows: bool, shift: float = 0.0) -> np.ndarray:
        return (LISTING - 2.0 if knows else WRONG) + shift

    pair = EnsembleInputs(
        WRONG, listing(content, -0.3), np.zeros(ROWS), np.ones(ROWS),
        np.ones(ROWS), np.ones(ROWS), CONTEXT * 0.0, CONTEXT * content,
    )  # fmt: skip
    return StackInputs(pair, listing(joint), CONTEXT * joint, LISTING_RATE)


def made_of(
    given: StackInputs, day: np.ndarray = DAY, shown: pa.Table | None = None
) -> tuple[Correction, Correction]:
    """What `fit_correction` makes where it may correct nothing, and what is published."""
    made = fit_correction(given, CLICKED, USER, day, 4, LEVEL, l2=1.0, min_clicks=10**9)
    shown = rows() if shown is None else shown
    over = gain_over_rates(given.joint, shown, CLICKED, USER)
    return made, step_down(made, over, given, shown, CLICKED, USER, day)


def test_a_content_model_that_is_better_than_the_rates_takes_the_joint_one_s_place() -> None:
    given = inputs(joint=False, content=True)
    _, published = made_of(given)
    assert published.form == "content_alone"
    assert "proven worse than click rates by listing and position" in str(published.reason)
    logit = published.logit(given)
    own = given.pair.content_listing + CONTEXT
    np.testing.assert_allclose(logit, own + published.level, atol=1e-9)
    promised = np.sum(1 / (1 + np.exp(-logit)))
    assert promised == pytest.approx(CLICKED.sum(), rel=0.01)


@pytest.mark.parametrize("content", [True, False])
def test_what_a_server_adds_up_is_what_is_published(content: bool) -> None:
    given = inputs(joint=False, content=content)
    _, published = made_of(given)
    stored = Correction.from_rows(published.to_rows())
    pair = given.pair
    parts = [given.joint_context, pair.historical_context, pair.content_context]
    served = stored.listing_logit(replace(given, joint_context=None))
    served = served + stored.context_logit(*parts)  # type: ignore[arg-type]
    np.testing.assert_allclose(served, published.logit(given), atol=1e-9)


def test_a_content_model_that_is_not_proven_better_than_the_rates_is_passed_over() -> None:
    given = inputs(joint=False, content=True)
    _, published = made_of(given, shown=rows(LISTING))
    assert published.form == "rates"


@pytest.mark.parametrize("level", [0.0004, 0.02, 0.2])
def test_rates_promise_the_listing_s_ratio_times_the_rate_of_the_position(level: float) -> None:
    given = inputs(joint=False, content=False)
    _, published = made_of(given)
    rates = {0: level, 1: 2 * level, 2: level, 3: level / 2, 4: level / 3}
    made, calibration = at_rates(published, rates)
    position = {"position": coded(pa.array(BAND + 1))}
    p = calibration.factors.apply(calibration.map.apply(made.logit(given)), position)
    wanted = np.exp(LISTING_RATE) * np.array([rates[k + 1] for k in BAND])
    usual = (wanted < 0.5) & (np.exp(LISTING_RATE) * level < 0.9)
    np.testing.assert_allclose(p[usual], wanted[usual], rtol=0.02)
    assert (p < 1.0).all()


def test_a_joint_model_that_is_not_proven_worse_stays() -> None:
    made, published = made_of(inputs(joint=True, content=True))
    assert published == made
    assert published.form == "joint_alone"


def test_where_nobody_clicked_nothing_is_proven() -> None:
    given, none = inputs(joint=False, content=True), np.zeros(ROWS, dtype=bool)
    over = gain_over_rates(given.joint, rows(), none, USER)
    made = Correction()
    assert over.is_disproven
    assert step_down(made, over, given, rows(), none, USER, DAY) == made


def test_after_a_single_day_only_the_rates_can_be_proven() -> None:
    _, published = made_of(inputs(joint=False, content=True), np.zeros(ROWS, dtype=np.int32))
    assert published.form == "rates"


def test_a_day_that_was_off_is_outweighed_by_the_others() -> None:
    given, last = inputs(joint=True, content=True), DAY == 3
    off = replace(given, joint_listing=given.joint_listing + 0.5 * last)
    of_last = rows().filter(pa.array(last))
    assert gain_over_rates(off.joint[last], of_last, CLICKED[last], USER[last]).is_disproven
    assert made_of(off)[1].form == "joint_alone"


def test_every_step_has_weights_of_its_own() -> None:
    assert {Correction(weights=weights).form for weights in STEPS.values()} == set(STEPS)

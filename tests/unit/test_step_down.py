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
from pipelines.models.step_down import rates_by_position, step_down

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
    return pa.table({"p_baseline": p, "position_band": pa.array(BAND).cast(pa.string())})


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


@pytest.mark.parametrize(("content", "form"), [(True, "content_alone"), (False, "rates")])
def test_what_is_proven_better_takes_the_place_of_a_joint_model_worse_than_rates(
    content: bool, form: str
) -> None:
    given = inputs(joint=False, content=content)
    _, published = made_of(given)
    assert published.form == form
    assert "proven worse than click rates by listing and position" in str(published.reason)
    pair = given.pair
    own = pair.content_listing + CONTEXT if content else LISTING_RATE
    logit = published.logit(given)
    np.testing.assert_allclose(logit, own + published.level, atol=1e-9)
    promised = np.sum(1 / (1 + np.exp(-logit)))
    assert promised == pytest.approx(CLICKED.sum(), rel=0.01)
    # What a server adds up, from what the tables hold.
    stored = Correction.from_rows(published.to_rows())
    parts = [given.joint_context, pair.historical_context, pair.content_context]
    served = stored.listing_logit(replace(given, joint_context=None))
    np.testing.assert_allclose(served + stored.context_logit(*parts), logit, atol=1e-9)  # type: ignore[arg-type]


def test_a_content_model_that_is_not_proven_better_than_the_rates_is_passed_over() -> None:
    given = inputs(joint=False, content=True)
    _, published = made_of(given, shown=rows(LISTING))
    assert published.form == "rates"


def test_rates_promise_what_each_listing_and_position_brings() -> None:
    given = inputs(joint=False, content=False)
    shown = rows()
    _, published = made_of(given)
    made = rates_by_position(published, given, shown, CLICKED)
    bands = {"position_band": coded(shown["position_band"])}
    p = made.factors.apply(made.map.apply(published.logit(given)), bands)
    for band in range(4):
        of_band = band == BAND
        assert p[of_band].sum() == pytest.approx(CLICKED[of_band].sum(), rel=0.03)
    high = LISTING > 1.0
    assert p[high].mean() > 2 * p[~high].mean()


def test_of_few_clicks_rates_promise_no_more_than_these() -> None:
    few = np.zeros(ROWS, dtype=bool)
    few[:: ROWS // 10] = True
    given = inputs(joint=False, content=False)
    made = fit_correction(given, few, USER, DAY, 4, LEVEL, l2=1.0, min_clicks=10**9)
    shown = pa.table({"p_baseline": np.full(ROWS, few.mean()), "position_band": ["1"] * ROWS})
    over = gain_over_rates(given.joint, shown, few, USER)
    published = step_down(made, over, given, shown, few, USER, DAY)
    promised = np.sum(1 / (1 + np.exp(-published.logit(given))))
    assert promised == pytest.approx(few.sum(), rel=0.15)


def test_a_joint_model_that_is_not_proven_worse_stays() -> None:
    made, published = made_of(inputs(joint=True, content=True))
    assert published == made
    assert published.form == "joint_alone"


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

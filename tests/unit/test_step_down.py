"""A joint model that is proven worse than click rates by position gives way to a better one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from jobs.setup.config_layers import load_config
from pipelines.models.correction import STEPS, Correction, StackInputs, fit_correction
from pipelines.models.ensemble import EnsembleInputs
from pipelines.models.step_down import is_worse, step_down

ROWS = 20_000
LEVEL = load_config(environment={}).ensemble.correction.level
random = np.random.default_rng(3)
DAY = np.sort(random.integers(0, 4, ROWS)).astype(np.int32)
USER = random.integers(0, 2_000, ROWS)
LISTING = random.normal(0.0, 0.8, ROWS)
CONTEXT = random.normal(0.0, 0.5, ROWS)
TRUTH = -2.0 + LISTING + CONTEXT
CLICKED = random.random(ROWS) < 1 / (1 + np.exp(-TRUTH))
WRONG = random.normal(-2.0, 1.5, ROWS)
RATE = pa.table({"p_baseline": np.full(ROWS, CLICKED.mean())})


def inputs(*, joint: bool, content: bool, historical: bool) -> StackInputs:
    """Models that know the truth or are wrong about it."""

    def listing(knows: bool, shift: float = 0.0) -> np.ndarray:
        return (LISTING - 2.0 if knows else WRONG) + shift

    pair = EnsembleInputs(
        listing(historical, 0.2), listing(content, -0.3), np.zeros(ROWS), np.ones(ROWS),
        np.ones(ROWS), np.ones(ROWS), CONTEXT * historical, CONTEXT * content,
    )  # fmt: skip
    return StackInputs(pair, listing(joint), CONTEXT * joint)


def made_of(given: StackInputs) -> tuple[Correction, Correction]:
    """What `fit_correction` makes where it may correct nothing, and what is published."""
    made = fit_correction(given, CLICKED, USER, DAY, 4, LEVEL, l2=1.0, min_clicks=10**9)
    return made, step_down(made, given, RATE, CLICKED, USER, DAY)


@pytest.mark.parametrize(
    ("content", "historical", "form"),
    [
        (True, True, "content_alone"),
        (False, True, "historical_alone"),
        (False, False, "rate_alone"),
    ],
)
def test_the_first_that_is_proven_better_takes_the_place_of_a_joint_model_worse_than_rates(
    content: bool, historical: bool, form: str
) -> None:
    given = inputs(joint=False, content=content, historical=historical)
    _, published = made_of(given)
    assert published.form == form
    assert is_worse(published.reason or "")
    pair = given.pair
    own = {
        "content_alone": pair.content_listing + CONTEXT * content,
        "historical_alone": pair.historical_listing + CONTEXT * historical,
        "rate_alone": np.zeros(ROWS),
    }[form]
    logit = published.logit(given)
    np.testing.assert_allclose(logit, own + published.level, atol=1e-9)
    promised = np.sum(1 / (1 + np.exp(-logit)))
    assert promised == pytest.approx(CLICKED.sum(), rel=0.01)
    # What a server adds up, from what the tables hold.
    stored = Correction.from_rows(published.to_rows())
    parts = [given.joint_context, pair.historical_context, pair.content_context]
    served = stored.listing_logit(replace(given, joint_context=None))
    np.testing.assert_allclose(served + stored.context_logit(*parts), logit, atol=1e-9)  # type: ignore[arg-type]


def test_a_joint_model_that_is_not_proven_worse_stays() -> None:
    given = inputs(joint=True, content=True, historical=True)
    made, published = made_of(given)
    assert published == made
    assert published.form == "joint_alone"


def test_a_single_day_proves_nothing() -> None:
    given = inputs(joint=False, content=True, historical=True)
    day = np.zeros(ROWS, dtype=np.int32)
    made = fit_correction(given, CLICKED, USER, day, 1, LEVEL, l2=1.0, min_clicks=10**9)
    assert step_down(made, given, RATE, CLICKED, USER, day) == made


def test_every_step_has_weights_of_its_own() -> None:
    assert {Correction(weights=weights).form for weights in STEPS.values()} == set(STEPS)

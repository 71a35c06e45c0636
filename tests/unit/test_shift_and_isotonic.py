"""The calibration maps at the two ends: of few clicks, and of many in no parametric shape."""

import numpy as np
import pytest

from pipelines.models.calibration import fit_calibration
from pipelines.models.calibration_map import CalibrationMap
from pipelines.models.elementary import probabilities

ROWS = 60_000
RNG = np.random.default_rng(11)
LOGIT = RNG.normal(-2.5, 1.2, ROWS)
USER = RNG.integers(0, 10_000, ROWS)
UNIFORM = RNG.random(ROWS)
# Flat between two slopes.
BENT = probabilities(np.interp(LOGIT, [-8, -4, -3, -2, -1, 3], [-6, -5, -2.5, -2.2, 1, 3]))
CLICKED = UNIFORM < BENT


def fit(rows: np.ndarray) -> CalibrationMap:
    return fit_calibration(LOGIT[rows], CLICKED[rows], USER[rows])


@pytest.mark.parametrize("clicks", [1, 10, 99])
def test_a_shift_is_held_by_a_normal_prior_around_none_worth_ten_clicks(clicks: int) -> None:
    rows = np.concatenate([np.flatnonzero(CLICKED)[:clicks], np.flatnonzero(~CLICKED)[:5000]])
    found = fit(rows)
    assert (found.kind, found.parameters[:2]) == ("shift", (1.0, 1.0))
    # Where the derivative of the log loss and of 10/2 times the shift squared is none.
    shift = found.parameters[2]
    assert found.apply(LOGIT[rows]).sum() == pytest.approx(clicks - 10.0 * shift, rel=1e-4)


@pytest.mark.parametrize("size", [6_000, ROWS])
def test_an_isotonic_map_promises_the_clicks_it_was_fitted_to(size: int) -> None:
    rows = np.arange(size)
    found = fit(rows)
    assert found.kind == "isotonic"
    assert found.apply(LOGIT[rows]).sum() == pytest.approx(found.clicks, rel=1e-4)


@pytest.mark.parametrize(("low", "high"), [(-2.8, -2.2), (-1.8, -1.2), (-0.8, 0.0)])
def test_an_isotonic_map_follows_the_truth_where_the_clicks_are(low: float, high: float) -> None:
    part = (low <= LOGIT) & (high > LOGIT)
    found = fit(np.arange(ROWS)).apply(LOGIT[part])
    assert found.mean() == pytest.approx(BENT[part].mean(), rel=0.1)


@pytest.mark.parametrize("size", [6_000, ROWS])
def test_every_fifty_clicks_give_an_isotonic_map_a_knot_and_there_are_forty_at_most(
    size: int,
) -> None:
    found = fit(np.arange(size))
    most = min(40, found.clicks // 50)
    assert 0.8 * most < len(found.knots) <= most

"""Elementary functions against 50-digit decimals."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from pipelines.models.elementary import exp, log1p, log_losses, probabilities


def ulps(value: float, exact: Decimal) -> float:
    """Distance in units in the last place."""
    return float(abs(Decimal(value) - exact) / Decimal(math.ulp(float(exact))))


@pytest.mark.parametrize(
    ("low", "high", "bound"), [(-1, 1, 1), (-40, 40, 1), (-708, 709.7, 1), (-745, -708, 2)]
)
def test_exp_is_right_to_the_last_place(low: float, high: float, bound: float) -> None:
    points = np.random.default_rng(1).uniform(low, high, 1500).tolist()
    with localcontext(prec=50):
        assert max(ulps(exp(x), Decimal(x).exp()) for x in points) < bound


@pytest.mark.parametrize(("low", "high"), [(-20, 0), (-1, 0), (-0.4, -0.36)])
def test_log1p_is_right_to_the_last_place(low: float, high: float) -> None:
    points = (10 ** np.random.default_rng(2).uniform(low, high, 1500)).tolist()
    with localcontext(prec=50):
        assert max(ulps(log1p(x), (1 + Decimal(x)).ln()) for x in points) < 2


def test_ends_of_the_range() -> None:
    assert (exp(0.0), exp(-math.inf), exp(math.inf), exp(-746.0), exp(710.0)) == (
        (1.0, 0.0, math.inf, 0.0, math.inf)
    )
    assert math.isnan(exp(math.nan))
    assert log1p(0.0) == 0.0


def test_log_loss_does_not_lose_extreme_logits() -> None:
    logits = np.array([0.0, 800.0, -800.0, 40.0, -40.0])
    clicked = np.array([1, 0, 1, 1, 0], dtype=np.uint8)
    expected = [math.log(2), 800.0, 800.0, math.exp(-40), math.exp(-40)]
    np.testing.assert_allclose(log_losses(logits, clicked), expected, rtol=1e-15)
    assert probabilities(logits)[:3].tolist() == [0.5, 1.0, 0.0]
    with pytest.raises(ValueError, match="5 logits for 1 labels"):
        log_losses(logits, clicked[:1])

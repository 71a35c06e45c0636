"""Calibration of given probabilities: the ratio of expected to observed clicks, and the slope."""

import numpy as np
import numpy.typing as npt

from pipelines.models.clumps import Clumps
from pipelines.models.elementary import probabilities
from pipelines.models.intervals import TAIL, Interval, count_interval
from pipelines.models.logistic import fit_logistic

FloatArray = npt.NDArray[np.float64]


def calibration_ratio(
    expected: float, clicks: int, clumps: Clumps, *, tail: float = TAIL
) -> tuple[float | None, Interval]:
    """Expected over observed clicks: above 1 means that too many clicks are promised.

    Parameters
    ----------
    expected
        Sum of the probabilities, above 0.
    clumps
        How the clicks come together.
    tail
        Chance that the interval lies above the ratio, and that it lies below.

    Returns
    -------
    value, interval
        The interval is that of the clicks' mean. No value without clicks, but a lower limit.
    """
    low, high = count_interval(clicks, *clumps, tail=tail)
    if not clicks:
        return None, (expected / high, None)
    return expected / clicks, (expected / high, expected / low)


def calibration_line(
    logit: FloatArray, clicked: npt.NDArray[np.bool_]
) -> tuple[tuple[float, FloatArray], tuple[float, FloatArray]]:
    """Intercept and slope of the logistic regression of the click on the logit (Cox 1958).

    0 and 1 for calibrated probabilities; a slope below 1 means that they are too extreme.

    Returns
    -------
    intercept, slope
        Each with the rows' influences, shape (rows,).

    Raises
    ------
    FitError
        One class is empty or the logit separates the classes.
    """
    fit = fit_logistic(logit[:, np.newaxis], clicked.astype(np.float64))
    slope = fit.weights[0]
    p = probabilities(fit.intercept + slope * logit)
    curvature = p * (1.0 - p)
    total = float(np.add.reduce(curvature))
    centre = float(np.add.reduce(curvature * logit)) / total
    spread = float(np.add.reduce(curvature * (logit - centre) ** 2))
    residual = clicked - p
    of_slope = residual * (logit - centre) / spread
    of_intercept = residual / total - centre * of_slope
    return (fit.intercept, of_intercept), (slope, of_slope)

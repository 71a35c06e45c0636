"""Logistic regression by Newton's method, for the few terms of an ensemble or a calibration."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel, readonly
from pipelines.models.cholesky import cholesky_solve
from pipelines.models.elementary import exp, log1p

FloatArray = npt.NDArray[np.float64]

# Rows are summed in blocks, then the blocks: the order is fixed and rounding grows slowly.
_BLOCK_ROWS = 4096
_MAX_ITERATIONS = 100
# Newton's decrement (twice the distance to the minimum, in nats) at which the last step is taken:
# convergence is quadratic, so the weights are then exact to rounding.
_DECREMENT = 1e-9
# Log loss of all rows, in nats, at which the classes are apart and the weights without a bound.
_SEPARATED = 1e-6


class FitError(ValueError):
    """The data do not determine a logistic regression."""


@dataclass(frozen=True)
class LogisticFit:
    """Fitted weights on the raw scale of the terms: logit = intercept + sum weight * term."""

    intercept: float
    weights: tuple[float, ...]
    iterations: int


class _Rows(NamedTuple):
    """The rows to fit, and the mean and deviation by which each term is standardised."""

    terms: FloatArray
    clicks: FloatArray
    trials: FloatArray
    offset: FloatArray
    centre: FloatArray
    scale: FloatArray


@kernel
def _derivatives(
    data: _Rows, weights: FloatArray, gradient: FloatArray, hessian: FloatArray
) -> float:
    """Log loss at the standardised weights; fills its slope, downwards, and its curvature."""
    terms, centre, trials, clicks = data.terms, data.centre, data.trials, data.clicks
    rows, columns = terms.shape
    size = columns + 1
    inverse = 1.0 / data.scale
    row = np.empty(size)
    row[0] = 1.0
    block_gradient = np.empty(size)
    block_hessian = np.empty((size, size))
    gradient[:] = 0.0
    hessian[:] = 0.0
    loss = 0.0
    for start in range(0, rows, _BLOCK_ROWS):
        block_gradient[:] = 0.0
        block_hessian[:] = 0.0
        block_loss = 0.0
        for i in range(start, min(start + _BLOCK_ROWS, rows)):
            logit = data.offset[i] + weights[0]
            for j in range(columns):
                row[j + 1] = (terms[i, j] - centre[j]) * inverse[j]
                logit += weights[j + 1] * row[j + 1]
            small = exp(-abs(logit))
            p = (1.0 if logit >= 0.0 else small) / (1.0 + small)
            block_loss += trials[i] * (max(logit, 0.0) + log1p(small)) - clicks[i] * logit
            residual = clicks[i] - trials[i] * p
            curvature = trials[i] * small / ((1.0 + small) * (1.0 + small))
            for j in range(size):
                block_gradient[j] += residual * row[j]
                scaled = curvature * row[j]
                for k in range(size):
                    block_hessian[j, k] += scaled * row[k]
        loss += block_loss
        for j in range(size):
            gradient[j] += block_gradient[j]
            for k in range(size):
                hessian[j, k] += block_hessian[j, k]
    return loss


def fit_logistic(
    terms: npt.ArrayLike,
    clicks: npt.ArrayLike,
    *,
    trials: npt.ArrayLike | None = None,
    offset: npt.ArrayLike | None = None,
    l2: float = 0.0,
    intercept_l2: float = 0.0,
) -> LogisticFit:
    """Minimise sum log loss + l2/2 * sum (weight * standard deviation of its term)^2.

    The penalty is the one of pyspark.ml (``standardization=True``) with ``regParam`` = l2 / rows
    and of scikit-learn on standardised terms with ``C`` = 1 / l2. A constant term gets weight 0.

    Parameters
    ----------
    terms
        Shape (rows, terms), without the column of ones.
    clicks, trials
        Shape (rows,): clicks out of trials; ``trials`` defaults to one per row.
    offset
        Shape (rows,): a known part of the logit.
    intercept_l2
        Penalty of the intercept, 0 by default.

    Raises
    ------
    FitError
        No rows, a value that is not finite, an empty class, collinear terms without a penalty,
        or no convergence (separable classes without a penalty).
    """
    design = readonly(terms, np.float64)
    clicked = readonly(clicks, np.float64)
    rows, columns = design.shape
    tried = readonly(np.ones(rows) if trials is None else trials, np.float64)
    known = readonly(np.zeros(rows) if offset is None else offset, np.float64)
    if not clicked.shape == tried.shape == known.shape == (rows,):
        raise FitError(f"{rows} rows of terms, but clicks, trials or offset of another length")
    _check(design, clicked, tried, known, intercept_l2 > 0.0)
    total = float(np.add.reduce(tried))
    centre, scale = _moments(design, tried, total)
    data = _Rows(design, clicked, tried, known, centre, scale)
    penalty = np.full(columns + 1, l2)
    penalty[0] = intercept_l2
    weights = np.zeros(columns + 1)
    if offset is None and intercept_l2 == 0.0:
        clicked_total = float(np.add.reduce(clicked))
        weights[0] = math.log(clicked_total / (total - clicked_total))
    gradient, hessian = np.empty(columns + 1), np.empty((columns + 1, columns + 1))
    step = np.zeros(columns + 1)
    constant = np.flatnonzero(scale == np.inf) + 1

    def objective(point: FloatArray) -> float:
        loss = _derivatives(data, point, gradient, hessian)
        return float(loss + 0.5 * np.add.reduce(penalty * point * point))

    value = objective(weights)
    for iteration in range(1, _MAX_ITERATIONS + 1):
        slope = gradient - penalty * weights
        hessian[np.arange(columns + 1), np.arange(columns + 1)] += penalty
        hessian[constant, constant] = 1.0
        if not cholesky_solve(hessian, slope, step):
            raise FitError("the terms are collinear or separate the classes; set l2 > 0")
        decrement = float(np.add.reduce(slope * step))
        # A full step first, then halves: far from the minimum a full step can overshoot.
        size = 1.0
        trial = objective(weights + step)
        while not trial <= value + 1e-11 * abs(value) and size > 1e-6:
            size /= 2.0
            trial = objective(weights + size * step)
        if not trial <= value + 1e-11 * abs(value):
            break
        weights, value = weights + size * step, trial
        if decrement <= _DECREMENT and size == 1.0:
            if value < _SEPARATED and l2 == 0.0:
                raise FitError("the terms separate the classes; set l2 > 0")
            raw = weights[1:] / scale
            intercept = float(weights[0] - np.add.reduce(raw * centre))
            return LogisticFit(intercept, tuple(raw.tolist()), iteration)
    raise FitError(f"no convergence in {_MAX_ITERATIONS} Newton steps; set l2 > 0")


def _check(
    terms: FloatArray,
    clicks: FloatArray,
    trials: FloatArray,
    offset: FloatArray,
    one_class_allowed: bool,
) -> None:
    if not len(clicks):
        raise FitError("no rows to fit")
    for name, values in (("terms", terms), ("clicks", clicks), ("trials", trials)):
        if not np.isfinite(values).all():
            raise FitError(f"{name} hold a value that is not finite")
    if not np.isfinite(offset).all():
        raise FitError("offset holds a value that is not finite")
    if (clicks < 0).any() or (clicks > trials).any():
        raise FitError("clicks must lie between 0 and trials")
    clicked, tried = float(np.add.reduce(clicks)), float(np.add.reduce(trials))
    if not one_class_allowed and not 0.0 < clicked < tried:
        raise FitError(f"one class is empty: {clicked:.0f} clicks in {tried:.0f} impressions")


def _moments(terms: FloatArray, trials: FloatArray, total: float) -> tuple[FloatArray, FloatArray]:
    """Mean and sample standard deviation of each term; a constant term has scale infinity."""
    columns = terms.shape[1]
    centre, scale = np.empty(columns), np.empty(columns)
    for j in range(columns):
        column = terms[:, j]
        centre[j] = np.add.reduce(trials * column) / total
        squares = np.add.reduce(trials * (column - centre[j]) ** 2)
        deviation = math.sqrt(squares / max(total - 1.0, 1.0))
        scale[j] = deviation if deviation > 1e-12 * max(abs(centre[j]), 1e-300) else np.inf
    return centre, scale

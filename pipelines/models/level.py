"""The level of a learnt model: what its intercept lacks for the day that it will serve.

One pass of FTRL-Proximal leaves the intercept to the last rows it saw: features that are always
there share it, each with a learning rate of its own, and from one day to the next the mean
prediction moves by several per cent. The one number that bids hang on is therefore found anew
when learning is done; and as a market drifts and has its weekends, for the day to come rather than
for the days that were.

A day's clicks say how far the model is off on that day, to the chance of some hundreds of clicks.
What is known beforehand of how a market moves, `LevelPrior`, says how much of it will be left
tomorrow. Search has several times the clicks of promoted listings and shares the market's moods,
though not its level, so its days have a say. In terms of the field: a Gaussian process over the
days of both surfaces (kriging; the local level model of Harvey, 1989, with a weekly season), a
logistic likelihood of the rows, the posterior mode by Newton's method (Laplace's approximation,
Rasmussen & Williams 2006, algorithm 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.features.hashing import hash_token
from pipelines.kernel import kernel
from pipelines.models.cholesky import cholesky_solve
from pipelines.models.elementary import logistic
from pipelines.models.level_prior import Days, Flags, Floats, LevelPrior
from pipelines.models.linear import dense_logits, logits
from pipelines.models.training import Block, Learner

BIAS = ("bias", "1")
_MAX_STEPS = 100
# Convergence is quadratic: after such a step the mode is exact to rounding.
_TOLERANCE = 1e-9


def level_shift(learner: Learner, blocks: Sequence[Block], prior: LevelPrior) -> float:
    """What the intercept lacks for promoted rows of the day after the learner's end day.

    Rows are weighed by nothing: each carries the offset of its sampling rate.

    Parameters
    ----------
    learner : Learner
        Done learning; not changed.
    blocks : sequence of Block
        In training order; rows outside the learner's windows are passed over.

    Returns
    -------
    float
        In logits; 0 without promoted rows.
    """
    weights, dense_weights = learner.state.weights(), learner.state.dense_weights()
    parts: list[tuple[Floats, npt.NDArray[np.uint8], Days, Flags]] = []
    for block in blocks:
        inside = learner.is_inside(block)
        if not inside.any():
            continue
        logit = logits(weights, block.rows) + block.glm_offset
        if learner.dense is not None and len(learner.dense.keys):
            row = learner.dense.rows_of(block.listing_key)
            vectors = learner.dense.vectors[np.maximum(row, 0)]
            logit = logit + np.where(row >= 0, dense_logits(dense_weights, vectors), 0.0)
        columns = (logit, block.clicked, block.day, block.is_search)
        parts.append(tuple(column[inside] for column in columns))  # type: ignore[arg-type]
    if not parts:
        return 0.0
    logit, clicked, day, search = (np.concatenate(column) for column in zip(*parts, strict=True))
    if search.all():
        return 0.0
    return forecast(logit, clicked, day, search, learner.end_day + 1, prior)


def forecast(
    logit: Floats,
    clicked: npt.NDArray[np.uint8],
    day: Days,
    search: Flags,
    ahead: int,
    prior: LevelPrior,
) -> float:
    """Level of promoted rows on a day to come, over the logits of days that were.

    Parameters
    ----------
    logit, clicked, day, search : numpy.ndarray, shape (n,)
        Rows in any order, at least one. ``day`` is in days since 1970.
    ahead : int
        The day to come.

    Returns
    -------
    float
        Posterior mode, in logits.
    """
    # Sums are taken surface by surface and day by day, in the rows' order within.
    order = np.lexsort((day, search))
    day, search = day[order], search[order]
    is_first = np.append(True, (np.diff(day) != 0) | (search[1:] != search[:-1]))
    starts = np.flatnonzero(is_first)
    bounds = np.append(starts, len(day)).astype(np.int64)
    clicks = np.add.reduceat(clicked[order].astype(np.int64), starts).astype(np.float64)
    known = day[starts], search[starts]
    served = np.array([ahead], dtype=np.int32), np.zeros(1, dtype=np.bool_)
    start = int(known[0].min()) - 1
    between = prior.covariance(known, known, start)
    to_come = np.ascontiguousarray(prior.covariance(known, served, start)[:, 0])
    return float(_mode(logit[order], bounds, clicks, between, to_come))


@kernel
def _mode(offset: Any, bounds: Any, clicks: Any, between: Any, to_come: Any) -> Any:
    """Newton's method for the posterior mode of the days' levels, carried to the day to come.

    With W the days' information and g their residuals, the next level is K a, where
    a = b - W^1/2 (1 + W^1/2 K W^1/2)^-1 W^1/2 K b and b = W level + g.
    """
    size = len(clicks)
    level, a, b, spread = np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size)
    root, solution, matrix = np.zeros(size), np.zeros(size), np.zeros((size, size))
    for _ in range(_MAX_STEPS):
        for d in range(size):
            total, information = 0.0, 0.0
            for row in range(bounds[d], bounds[d + 1]):
                p = logistic(offset[row] + level[d])
                total += p
                information += p * (1.0 - p)
            root[d] = math.sqrt(information)
            b[d] = information * level[d] + clicks[d] - total
        for d in range(size):
            spread[d] = 0.0
            for e in range(size):
                spread[d] += between[d, e] * b[e]
                matrix[d, e] = root[d] * between[d, e] * root[e]
            spread[d] *= root[d]
            matrix[d, d] += 1.0
        cholesky_solve(matrix, spread, solution)
        for d in range(size):
            a[d] = b[d] - root[d] * solution[d]
        largest = 0.0
        for d in range(size):
            spread[d] = -level[d]
            for e in range(size):
                spread[d] += between[d, e] * a[e]
            largest = max(largest, abs(spread[d]))
        # A step of more than a logit may overshoot far from the solution.
        share = min(1.0, 1.0 / largest) if largest > 0.0 else 1.0
        for d in range(size):
            level[d] += share * spread[d]
        if largest < _TOLERANCE:
            break
    ahead = 0.0
    for d in range(size):
        ahead += to_come[d] * a[d]
    return ahead


def bias_slot(bits: int) -> int:
    """Where the intercept stands in a table of 2**bits slots."""
    return hash_token(*BIAS) & ((1 << bits) - 1)

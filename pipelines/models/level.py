"""The level of a learnt model: its intercept, solved once more on the newest promoted rows.

One pass of FTRL-Proximal leaves the intercept to the last rows it saw: features that are always
there share it, each with a learning rate of its own, and from one day to the next the mean
prediction moves by several per cent. The one number that bids hang on is therefore solved exactly
when learning is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.features.hashing import hash_token
from pipelines.kernel import kernel
from pipelines.models.elementary import logistic
from pipelines.models.linear import dense_logits, logits
from pipelines.models.training import Block, Learner

BIAS = ("bias", "1")
_MAX_STEPS = 50
_TOLERANCE = 1e-12


def level_shift(learner: Learner, blocks: Sequence[Block], days: int) -> float:
    """What the intercept lacks for the promoted rows of the last days to sum to their clicks.

    The maximum likelihood of an intercept with all else as an offset. Rows are weighed by nothing:
    each carries the offset of its sampling rate.

    Parameters
    ----------
    learner : Learner
        Done learning; not changed.
    blocks : sequence of Block
        Promoted rows in training order; those of other days are passed over.
    days : int
        How many days, up to and with the learner's end day.

    Returns
    -------
    float
        In logits; 0 where these days have no clicks, or nothing but clicks.
    """
    weights, dense_weights = learner.state.weights(), learner.state.dense_weights()
    parts: list[npt.NDArray[np.float64]] = []
    clicked: list[npt.NDArray[np.uint8]] = []
    for block in blocks:
        inside = (block.day > learner.end_day - days) & (block.day <= learner.end_day)
        if not inside.any():
            continue
        logit = logits(weights, block.rows) + block.glm_offset
        if learner.dense is not None:
            row = learner.dense.rows_of(block.listing_key)
            vectors = learner.dense.vectors[np.maximum(row, 0)]
            logit = logit + np.where(row >= 0, dense_logits(dense_weights, vectors), 0.0)
        parts.append(logit[inside])
        clicked.append(block.clicked[inside])
    if not parts:
        return 0.0
    labels = np.concatenate(clicked)
    clicks = int(np.count_nonzero(labels))
    if clicks in (0, len(labels)):
        return 0.0
    return float(_solve(np.concatenate(parts), float(clicks)))


def bias_slot(bits: int) -> int:
    """Where the intercept stands in a table of 2**bits slots."""
    return hash_token(*BIAS) & ((1 << bits) - 1)


@kernel
def _solve(offset: Any, clicks: Any) -> Any:
    """Newton's method for sum logistic(offset + shift) = clicks, in row order."""
    shift = 0.0
    for _ in range(_MAX_STEPS):
        total, slope = 0.0, 0.0
        for value in offset:
            p = logistic(value + shift)
            total += p
            slope += p * (1.0 - p)
        step = (clicks - total) / slope
        # A step of more than a logit may overshoot far from the solution.
        step = min(max(step, -1.0), 1.0)
        shift += step
        if abs(step) < _TOLERANCE:
            break
    return shift

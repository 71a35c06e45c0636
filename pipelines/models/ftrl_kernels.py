"""Kernels of FTRL-Proximal over hashed rows: check, learn, score.

The state of a coordinate is (z, root) with root = sqrt(n); sqrt(root * root) gives root back
exactly in IEEE arithmetic, so n = root**2 may be stored instead. In terms of
u = (z - sign(z) l1) / (beta + alpha l2 + root), or 0 if abs(z) <= l1, the weight is -alpha u and
the update's sigma w = -(root' - root) u: one division instead of three.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel
from pipelines.models.elementary import logistic
from pipelines.models.prefetch import prefetch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int32]

LANES = 8
# Slots of look-ahead: 64 gave 2.8 times the speed of none, 24 twice, 96 no more than 64.
AHEAD = 64

ROW_IS_GOOD, BAD_ORDER, BAD_CLICK, BAD_OFFSET, BAD_DENSE_ROW, BAD_DENSE = range(6)


class Examples(NamedTuple):
    """Rows to learn, as `pipelines.models.ftrl.learn` takes them; ``dense_row`` may be empty."""

    offsets: npt.NDArray[np.int64]
    slots: Ints
    clicked: npt.NDArray[np.uint8]
    glm_offset: Floats
    order_day: Ints
    order_key: npt.NDArray[np.int64]
    dense: npt.NDArray[np.float32]
    dense_row: Ints


class Shrinkage(NamedTuple):
    """What turns (z, root) of a coordinate into its weight; ``base`` = beta + alpha l2."""

    alpha: float
    l1: float
    base: float


@kernel
def shrink(z: float, root: float, l1: float, base: float) -> float:
    """Soft-threshold z and divide: minus the weight over alpha."""
    excess = max(abs(z) - l1, 0.0)
    return float(np.copysign(excess, z)) / (base + root)


@kernel
def fill_weights(state: Floats, shrinkage: Shrinkage, weights: Floats) -> None:
    """Weights of all coordinates of a state of shape (d, 2)."""
    alpha, l1, base = shrinkage
    for slot in range(len(weights)):
        weights[slot] = 0.0 - alpha * shrink(state[slot, 0], state[slot, 1], l1, base)


@kernel
def lane_sum(terms: Floats) -> float:
    """Sum in a fixed order that leaves room for vector instructions; overwrites ``terms``.

    The length is a multiple of LANES.
    """
    for block in range(LANES, len(terms), LANES):
        for lane in range(LANES):
            terms[lane] += terms[block + lane]
    left = (terms[0] + terms[4]) + (terms[2] + terms[6])
    right = (terms[1] + terms[5]) + (terms[3] + terms[7])
    return float(left + right)


@kernel
def first_bad_row(examples: Examples, day: int, key: int, start: int, stop: int) -> tuple[int, int]:
    """Find the first row that may not be learnt, and why; (stop, ROW_IS_GOOD) if there is none.

    ``day`` and ``key`` are those of the row before.
    """
    dense, dense_row = examples.dense, examples.dense_row
    for row in range(start, stop):
        row_day, row_key = examples.order_day[row], examples.order_key[row]
        if row_day < day or (row_day == day and row_key <= key):
            return row, BAD_ORDER
        day, key = row_day, row_key
        if examples.clicked[row] > 1:
            return row, BAD_CLICK
        if not np.isfinite(examples.glm_offset[row]):
            return row, BAD_OFFSET
        if len(dense_row) > 0:
            source = dense_row[row]
            if source < -1 or source >= len(dense):
                return row, BAD_DENSE_ROW
            if source >= 0:
                for column in range(dense.shape[1]):
                    if not np.isfinite(dense[source, column]):
                        return row, BAD_DENSE
    return stop, ROW_IS_GOOD


@kernel
def learn_rows(
    table: Floats,
    dense_state: Floats,
    shrinkage: Shrinkage,
    examples: Examples,
    start: int,
    stop: int,
    logits: Floats,
) -> int:
    """Learn the rows in turn; give the first whose logit is not finite, which is not learnt."""
    alpha, l1, base = shrinkage
    offsets, slots = examples.offsets, examples.slots
    dense, dense_row = examples.dense, examples.dense_row
    mask = np.uint32(len(table) - 1)
    width = dense_state.shape[1]
    shrunk = np.empty(width)
    terms = np.zeros((width + LANES - 1) // LANES * LANES)
    last = offsets[stop] - 1
    for row in range(start, stop):
        first, end = offsets[row], offsets[row + 1]
        logit = 0.0
        for position in range(first, end):
            prefetch(table, np.uint64(np.uint32(slots[min(position + AHEAD, last)]) & mask))
            slot = np.uint64(np.uint32(slots[position]) & mask)
            logit += 0.0 - alpha * shrink(table[slot, 0], table[slot, 1], l1, base)
        source = dense_row[row] if len(dense_row) > 0 else -1
        if source >= 0:
            terms[:] = 0.0
            for column in range(width):
                u = shrink(dense_state[0, column], dense_state[1, column], l1, base)
                shrunk[column] = u
                terms[column] = (0.0 - alpha * u) * np.float64(dense[source, column])
            logit += lane_sum(terms)
        logit += examples.glm_offset[row]
        if not np.isfinite(logit):
            return row
        logits[row - start] = logit
        slope = logistic(logit) - np.float64(examples.clicked[row])
        for position in range(first, end):
            slot = np.uint64(np.uint32(slots[position]) & mask)
            z, root = table[slot, 0], table[slot, 1]
            new_root = np.sqrt(root * root + slope * slope)
            # Not reused from the first pass: a slot may occur twice in a row.
            u = shrink(z, root, l1, base)
            table[slot, 0] = z + (slope + (new_root - root) * u)
            table[slot, 1] = new_root
        if source >= 0:
            for column in range(width):
                z, root = dense_state[0, column], dense_state[1, column]
                gradient = slope * np.float64(dense[source, column])
                new_root = np.sqrt(root * root + gradient * gradient)
                dense_state[0, column] = z + (gradient + (new_root - root) * shrunk[column])
                dense_state[1, column] = new_root
    return stop


@kernel
def hashed_sums(weights: Floats, offsets: npt.NDArray[np.int64], slots: Ints, sums: Floats) -> None:
    """Sum the weights of each row's slots, in their order."""
    mask = np.uint32(len(weights) - 1)
    for row in range(len(sums)):
        total = 0.0
        for position in range(offsets[row], offsets[row + 1]):
            slot = np.uint64(np.uint32(slots[position]) & mask)
            total += weights[slot]
        sums[row] = total


@kernel
def dense_sums(weights: Floats, dense: npt.NDArray[np.float32], sums: Floats) -> None:
    """Sum weight times value over each dense row, in the order of ``learn_rows``."""
    width = len(weights)
    terms = np.zeros((width + LANES - 1) // LANES * LANES)
    for row in range(len(sums)):
        terms[:] = 0.0
        for column in range(width):
            terms[column] = weights[column] * np.float64(dense[row, column])
        sums[row] = lane_sum(terms)


@kernel
def variance_sums(
    information: Floats, prior: float, offsets: npt.NDArray[np.int64], slots: Ints, sums: Floats
) -> None:
    """Sum 1 / (n + prior) over each row's slots, in their order."""
    mask = np.uint32(len(information) - 1)
    for row in range(len(sums)):
        total = 0.0
        for position in range(offsets[row], offsets[row + 1]):
            slot = np.uint64(np.uint32(slots[position]) & mask)
            total += 1.0 / (information[slot] + prior)
        sums[row] = total

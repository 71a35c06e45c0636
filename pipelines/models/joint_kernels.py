"""Kernels of the joint model: number ids, learn and predict rows, read off priors.

A coordinate's posterior is a row (b, G, lambda, lambda mu0): mean (b + lambda mu0) / (G + lambda),
variance 1 / (G + lambda). Learning a row changes b and G only, which hold no prior.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel
from pipelines.models.elementary import logistic
from pipelines.models.prefetch import prefetch

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]

B, G, PRECISION, PULL = range(4)
"""Columns of a posterior: b, G, lambda, lambda mu0."""

ROW_IS_GOOD, BAD_CLICK, BAD_OFFSET, BAD_WEIGHT, BAD_ORDER = range(5)

EMPTY = np.iinfo(np.int64).min
"""A free place of a table of ids; what `pipelines.features.ids` calls NONE."""

_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)
# Rows of look-ahead when learning: the coordinates of a row fill a few cache lines each.
_ROWS_AHEAD = 2


@kernel
def find_or_add(keys: Ids, places: Index, count: int, ids: Ids, added: Ids, found: Index) -> int:
    """Number ids by an open-addressed table; new ones get the next numbers, in order.

    Parameters
    ----------
    keys, places : numpy.ndarray, shape (2**bits,)
        The table: ids, `EMPTY` where free, and their numbers; at most half full at the end.
    count : int
        Numbers given so far.
    ids : numpy.ndarray of int64, shape (n,)
        `EMPTY` gives -1.
    added : numpy.ndarray of int64
        Is told the new ids, in order.
    found : numpy.ndarray of int32, shape (n,)
        Is told the numbers.

    Returns
    -------
    int
        Numbers given now; -1 - row where the table is half full: make a larger one and go on.
    """
    mask = np.uint64(len(keys) - 1)
    limit = len(keys) // 2
    first = count
    for row in range(len(ids)):
        wanted = ids[row]
        if wanted == EMPTY:
            found[row] = -1
            continue
        place = np.uint64(np.uint64(wanted) * _SCRAMBLE) >> np.uint64(20) & mask
        while keys[place] != wanted:
            if keys[place] == EMPTY:
                if count >= limit:
                    return -1 - row
                keys[place] = wanted
                places[place] = count
                added[count - first] = wanted
                count += 1
                break
            place = (place + np.uint64(1)) & mask
        found[row] = places[place]
    return int(count)


@kernel
def find(keys: Ids, places: Index, ids: Ids, found: Index) -> None:
    """Look ids up in a table of `find_or_add`; -1 for those it does not hold."""
    mask = np.uint64(len(keys) - 1)
    for row in range(len(ids)):
        wanted = ids[row]
        found[row] = -1
        if wanted == EMPTY:
            continue
        place = np.uint64(np.uint64(wanted) * _SCRAMBLE) >> np.uint64(20) & mask
        while keys[place] != EMPTY:
            if keys[place] == wanted:
                found[row] = places[place]
                break
            place = (place + np.uint64(1)) & mask


@kernel
def first_bad_row(
    clicked: npt.NDArray[np.uint8], offset: Floats, weight: Floats, order: Ids
) -> tuple[int, int]:
    """Find the first row that may not be learnt, and why; (n, ROW_IS_GOOD) if there is none."""
    for row in range(len(clicked)):
        if clicked[row] > 1:
            return row, BAD_CLICK
        if not np.isfinite(offset[row]):
            return row, BAD_OFFSET
        if not (np.isfinite(weight[row]) and weight[row] >= 0.0):
            return row, BAD_WEIGHT
        if row > 0 and order[row] <= order[row - 1]:
            return row, BAD_ORDER
    return len(clicked), ROW_IS_GOOD


@kernel
def learn_rows(
    posterior: Floats,
    index: Index,
    clicked: npt.NDArray[np.uint8],
    offset: Floats,
    weight: Floats,
    logits: Floats,
) -> int:
    """Learn rows in turn; give the first whose logit is not finite, which is not learnt.

    A coordinate that occurs twice in a row counts twice, by its mean before the row.

    Parameters
    ----------
    posterior : numpy.ndarray of float64, shape (d, 4)
        Changed in place.
    index : numpy.ndarray of int32, shape (n, K)
        Coordinates of each row; -1 for none.
    clicked, offset, weight : numpy.ndarray, shape (n,)
    logits : numpy.ndarray of float64, shape (n,)
        Is told each row's logit before it was learnt, offset included.
    """
    rows, width = index.shape
    mean = np.empty(width)
    for row in range(rows):
        ahead = min(row + _ROWS_AHEAD, rows - 1)
        for column in range(width):
            prefetch(posterior, np.uint64(max(index[ahead, column], 0)))
        logit = offset[row]
        for column in range(width):
            coordinate = index[row, column]
            if coordinate >= 0:
                b, g = posterior[coordinate, B], posterior[coordinate, G]
                precision, pull = posterior[coordinate, PRECISION], posterior[coordinate, PULL]
                mean[column] = (b + pull) / (g + precision)
                logit += mean[column]
        if not np.isfinite(logit):
            return row
        logits[row] = logit
        p = logistic(logit)
        information = weight[row] * (p * (1.0 - p))
        error = weight[row] * (np.float64(clicked[row]) - p)
        for column in range(width):
            coordinate = index[row, column]
            if coordinate >= 0:
                posterior[coordinate, B] += error + information * mean[column]
                posterior[coordinate, G] += information
    return int(rows)


@kernel
def fill_means(posterior: Floats, mean: Floats) -> None:
    """Posterior mean of every coordinate."""
    for k in range(len(mean)):
        mean[k] = (posterior[k, B] + posterior[k, PULL]) / (
            posterior[k, G] + posterior[k, PRECISION]
        )


@kernel
def row_sums(value: Floats, index: Index, sums: Floats) -> None:
    """Sum a value of each row's coordinates, column by column."""
    rows, width = index.shape
    for row in range(rows):
        total = 0.0
        for column in range(width):
            coordinate = index[row, column]
            if coordinate >= 0:
                total += value[coordinate]
        sums[row] = total


@kernel
def walk(posterior: Floats, step: float) -> None:
    """A day's random walk: each variance grows by step^2, up to its prior's; the mean stays.

    For coordinates with prior mean 0.
    """
    for k in range(len(posterior)):
        precision = posterior[k, PRECISION]
        variance = 1.0 / (posterior[k, G] + precision)
        mean = posterior[k, B] * variance
        variance = min(variance + step * step, 1.0 / precision)
        posterior[k, G] = 1.0 / variance - precision
        posterior[k, B] = mean / variance


@kernel
def fisher_sums(posterior: Floats, variance: float) -> tuple[float, float]:
    """Sums of Fisher scoring of b ~ Normal(0, G + G^2 T) over coordinates with G > 0, at T.

    Returns
    -------
    (float, float)
        sum om (b^2 - G) and sum om G^2 with om = 1 / (1 + G T)^2: their ratio is the step's T.
    """
    above, below = 0.0, 0.0
    for k in range(len(posterior)):
        b, g = posterior[k, B], posterior[k, G]
        if g > 0.0:
            share = 1.0 / (1.0 + g * variance)
            om = share * share
            above += om * (b * b - g)
            below += om * (g * g)
    return above, below

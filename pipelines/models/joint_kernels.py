"""Kernels of the joint model: number ids, learn and predict rows, read off priors.

A coordinate's row of the table is (b + lambda mu0, G) at each scale: its mean is the first over
G + lambda, its variance 1 / (G + lambda), lambda that of its namespace. Learning a row adds to b
and G, which hold no prior.
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

ROW_IS_GOOD, BAD_CLICK, BAD_OFFSET, BAD_WEIGHT, BAD_ORDER = range(5)

EMPTY = np.iinfo(np.int64).min
"""A free place of a table of ids; what `pipelines.features.ids` calls NONE."""

_SCRAMBLE = np.uint64(0x9E3779B97F4A7C15)
# Rows of look-ahead when learning: the coordinates of a row fill a few cache lines each.
_ROWS_AHEAD = 2


@kernel
def find_or_add(places: Index, known: Ids, count: int, ids: Ids, found: Index) -> tuple[int, int]:
    """Number ids by an open-addressed table; new ones get the next numbers, in order.

    Parameters
    ----------
    places : numpy.ndarray of int32, shape (2**bits,)
        The table: numbers, -1 where free; at most half full at the end.
    known : numpy.ndarray of int64
        Ids by number; is told the new ones while there is room.
    count : int
        Numbers given so far.
    ids : numpy.ndarray of int64, shape (n,)
        `EMPTY` gives -1.
    found : numpy.ndarray of int32, shape (n,)
        Is told the numbers.

    Returns
    -------
    (int, int)
        Ids numbered, fewer than n where there is no more room: make some and go on; and the numbers
        given so far.
    """
    mask = np.uint64(len(places) - 1)
    limit = min(len(places) // 2, len(known))
    for row in range(len(ids)):
        wanted = ids[row]
        if wanted == EMPTY:
            found[row] = -1
            continue
        place = np.uint64(np.uint64(wanted) * _SCRAMBLE) >> np.uint64(20) & mask
        while places[place] >= 0 and known[places[place]] != wanted:
            place = (place + np.uint64(1)) & mask
        if places[place] < 0:
            if count >= limit:
                return row, count
            places[place] = count
            known[count] = wanted
            count += 1
        found[row] = places[place]
    return len(ids), int(count)


@kernel
def place_ids(places: Index, ids: Ids) -> None:
    """Fill an empty table of `find_or_add` with ids that differ, by their numbers."""
    mask = np.uint64(len(places) - 1)
    for number in range(len(ids)):
        place = np.uint64(np.uint64(ids[number]) * _SCRAMBLE) >> np.uint64(20) & mask
        while places[place] >= 0:
            place = (place + np.uint64(1)) & mask
        places[place] = number


@kernel
def find(places: Index, known: Ids, ids: Ids, found: Index) -> None:
    """Look ids up in a table of `find_or_add`; -1 for those it does not hold."""
    mask = np.uint64(len(places) - 1)
    for row in range(len(ids)):
        wanted = ids[row]
        found[row] = -1
        if wanted == EMPTY:
            continue
        place = np.uint64(np.uint64(wanted) * _SCRAMBLE) >> np.uint64(20) & mask
        while places[place] >= 0:
            if known[places[place]] == wanted:
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
    table: Floats,
    precision: Floats,
    index: Index,
    clicked: npt.NDArray[np.uint8],
    offset: Floats,
    weight: Floats,
    logits: Floats,
) -> int:
    """Learn rows in turn at all scales; give the first whose logit is not finite, not learnt.

    A coordinate that occurs twice in a row counts twice, by its mean before the row.

    Parameters
    ----------
    table : numpy.ndarray of float64, shape (d, 2 S)
        Changed in place.
    precision : numpy.ndarray of float64, shape (K, S)
        lambda of the namespace of each column.
    index : numpy.ndarray of int32, shape (n, K)
        Coordinates of each row; -1 for none.
    clicked, offset, weight : numpy.ndarray, shape (n,)
    logits : numpy.ndarray of float64, shape (S, n)
        Is told each row's logits before it was learnt, offset included.
    """
    rows, width = index.shape
    scales = precision.shape[1]
    mean, logit = np.empty((width, scales)), np.empty(scales)
    information, error = np.empty(scales), np.empty(scales)
    for row in range(rows):
        ahead = min(row + _ROWS_AHEAD, rows - 1)
        for column in range(width):
            prefetch(table, np.uint64(max(index[ahead, column], 0)))
        for scale in range(scales):
            logit[scale] = offset[row]
        for column in range(width):
            coordinate = index[row, column]
            if coordinate >= 0:
                for scale in range(scales):
                    g = table[coordinate, 2 * scale + 1]
                    own = table[coordinate, 2 * scale] / (g + precision[column, scale])
                    mean[column, scale] = own
                    logit[scale] += own
        for scale in range(scales):
            if not np.isfinite(logit[scale]):
                return row
        for scale in range(scales):
            logits[scale, row] = logit[scale]
            p = logistic(logit[scale])
            information[scale] = weight[row] * (p * (1.0 - p))
            error[scale] = weight[row] * (np.float64(clicked[row]) - p)
        for column in range(width):
            coordinate = index[row, column]
            if coordinate >= 0:
                for scale in range(scales):
                    table[coordinate, 2 * scale] += (
                        error[scale] + information[scale] * mean[column, scale]
                    )
                    table[coordinate, 2 * scale + 1] += information[scale]
    return int(rows)


@kernel
def fill_means(
    table: Floats, scale: int, precision: Floats, namespace: npt.NDArray[np.int16], mean: Floats
) -> None:
    """Posterior mean of every coordinate at a scale, by lambda of its namespace."""
    for k in range(len(mean)):
        mean[k] = table[k, 2 * scale] / (table[k, 2 * scale + 1] + precision[namespace[k]])


@kernel
def fill_variances(
    table: Floats, scale: int, precision: Floats, namespace: npt.NDArray[np.int16], variance: Floats
) -> None:
    """Posterior variance of every coordinate at a scale, by lambda of its namespace."""
    for k in range(len(variance)):
        variance[k] = 1.0 / (table[k, 2 * scale + 1] + precision[namespace[k]])


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
def walk(table: Floats, scale: int, precision: float, step: float) -> None:
    """A day's random walk: each variance grows by step^2, up to its prior's; the mean stays.

    For coordinates with prior mean 0.
    """
    for k in range(len(table)):
        variance = 1.0 / (table[k, 2 * scale + 1] + precision)
        mean = table[k, 2 * scale] * variance
        variance = min(variance + step * step, 1.0 / precision)
        table[k, 2 * scale + 1] = 1.0 / variance - precision
        table[k, 2 * scale] = mean / variance


@kernel
def fisher_sums(table: Floats, scale: int, variance: float) -> tuple[float, float]:
    """Sums of Fisher scoring of b ~ Normal(0, G + G^2 T) over coordinates with G > 0, at T.

    For coordinates with prior mean 0.

    Returns
    -------
    (float, float)
        sum om (b^2 - G) and sum om G^2 with om = 1 / (1 + G T)^2: their ratio is the step's T.
    """
    above, below = 0.0, 0.0
    for k in range(len(table)):
        b, g = table[k, 2 * scale], table[k, 2 * scale + 1]
        if g > 0.0:
            share = 1.0 / (1.0 + g * variance)
            om = share * share
            above += om * (b * b - g)
            below += om * (g * g)
    return above, below


@kernel
def keep_rows(table: Floats, kept: Ids) -> None:
    """Move rows, given ascending, to the front, in place."""
    for k in range(len(kept)):
        for column in range(table.shape[1]):
            table[k, column] = table[kept[k], column]

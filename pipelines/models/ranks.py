"""Rows of one model and segment grouped by equal probability, in rising order."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ranks:
    """Group of each row, and rows and clicks of each group; every group has a row."""

    group: IntArray
    rows: IntArray
    clicks: IntArray

    @classmethod
    def of(cls, rank: IntArray, clicked: npt.NDArray[np.bool_]) -> "Ranks":
        """Group the rows by their rank (equal probabilities share one), dropping unused ranks."""
        size = int(rank.max()) + 1
        rows = np.bincount(rank, minlength=size)
        clicks = np.bincount(rank[clicked], minlength=size)
        used = rows > 0
        return cls((np.cumsum(used) - 1)[rank], rows[used], clicks[used])


def dense_ranks(p: npt.NDArray[np.float64]) -> IntArray:
    """Rank of each value among the distinct ones, from 0, shape (rows,)."""
    return np.unique(p, return_inverse=True)[1].astype(np.int64)

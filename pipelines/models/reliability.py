"""Expected against observed click rates in bins of equal size, and the calibration error."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.models.intervals import rate_interval
from pipelines.models.ranks import Ranks

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_MAX_BINS = 20
_CLICKS_PER_BIN = 20


@dataclass(frozen=True)
class ReliabilityBin:
    """Mean probability and click rate, with its 95 % interval, of one bin of rows."""

    bin: int
    expected: float
    observed: float
    low: float
    high: float
    rows: int


def equal_mass_bins(ranks: Ranks) -> IntArray:
    """Bin of each row, from 0: up to 20 of about equal size, fewer below 400 clicks.

    Rows of equal probability share a bin, so neither their order nor their label matters.
    """
    total = int(ranks.rows.sum())
    bins = min(_MAX_BINS, max(1, int(ranks.clicks.sum()) // _CLICKS_PER_BIN))
    middle = 2 * np.cumsum(ranks.rows) - ranks.rows
    bin_of_group: IntArray = np.unique(middle * bins // (2 * total), return_inverse=True)[1]
    return bin_of_group[ranks.group]


def reliability_bins(
    p: FloatArray, clicked: npt.NDArray[np.bool_], ranks: Ranks, over_dispersion: float
) -> list[ReliabilityBin]:
    """Reliability table by rising probability."""
    index = equal_mass_bins(ranks)
    rows = np.bincount(index)
    clicks = np.bincount(index[clicked], minlength=len(rows)).tolist()
    expected = (np.bincount(index, p) / rows).tolist()
    return [
        ReliabilityBin(
            k, expected[k], clicks[k] / n, *rate_interval(clicks[k], n, over_dispersion), n
        )
        for k, n in enumerate(rows.tolist())
    ]


def calibration_error(p: FloatArray, clicked: npt.NDArray[np.bool_], ranks: Ranks) -> float:
    """Expected calibration error over the bins, debiased, in % of the click rate.

    The mean absolute gap is scaled by the root of the share of the squared gaps that noise does
    not explain: near 0 for a calibrated model however few the clicks, the plain error where the
    gaps are large. The squared form is the unbiased one of Kumar, Liang, Ma (NeurIPS 2019).
    """
    index = equal_mass_bins(ranks)
    rows = np.bincount(index)
    gap = (np.bincount(index[clicked], minlength=len(rows)) - np.bincount(index, p)) / rows
    noise = np.bincount(index, p * (1.0 - p)) / rows**2
    share = rows / len(p)
    squared = float(np.add.reduce(share * gap * gap))
    if squared == 0.0:
        return 0.0
    real = max(0.0, 1.0 - float(np.add.reduce(share * noise)) / squared)
    plain = float(np.add.reduce(share * np.abs(gap)))
    return 100.0 * plain * math.sqrt(real) * len(p) / int(np.count_nonzero(clicked))

"""How well a single feature tells the label apart: a leak does it nearly perfectly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Rows added to every value's counts, at the overall click rate: values seen once say little.
_PRIOR_ROWS = 1.0


def held_out_auc(cells: Mapping[int, int], least_hits: int) -> float | None:
    """Area under the ROC curve of a feature's click rates on rows they were not learnt from.

    Parameters
    ----------
    cells : mapping of int to int
        Rows by ``value * 4 + half * 2 + label``.
    least_hits : int
        Labels, and rows without, that each half must have.

    Returns
    -------
    float or None
        None where a half has too few; ties count half.
    """
    keys = np.fromiter(cells.keys(), np.int64, len(cells))
    values, place = np.unique(keys >> 2, return_inverse=True)
    counts = np.zeros((len(values), 2, 2))
    counts[place, (keys >> 1) & 1, keys & 1] = np.fromiter(cells.values(), np.float64, len(cells))
    if counts.sum(axis=0).min(initial=np.inf) < least_hits or not len(values):
        return None
    learnt, judged = counts[:, 0], counts[:, 1]
    overall = learnt[:, 1].sum() / learnt.sum()
    rate = (learnt[:, 1] + _PRIOR_ROWS * overall) / (learnt.sum(axis=1) + _PRIOR_ROWS)
    rates, tie = np.unique(rate, return_inverse=True)
    misses = np.bincount(tie, judged[:, 0], len(rates))
    hits = np.bincount(tie, judged[:, 1], len(rates))
    below = np.cumsum(misses) - misses
    return float((hits * (below + misses / 2)).sum() / (hits.sum() * misses.sum()))

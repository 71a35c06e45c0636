"""How far a day's groups have moved from the last days, and what a change of a rate is made of."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pipelines.quality.groups import Floats, Panel, past_sum


def stability_index(panel: Panel, bins: int) -> float:
    """Population stability index of the last day, less what chance alone gives.

    Parameters
    ----------
    bins : int
        Groups merged in the order of their numbers, to about equal shares of the last days; 0 for
        none.
    """
    past, today = past_sum(panel.base), panel.base[-1]
    if bins:
        order = np.argsort([float(group or "nan") for group in panel.groups], kind="stable")
        past, today = past[order], today[order]
        middle = (np.cumsum(past) - past / 2) / max(past.sum(), 1.0)
        merged = np.minimum((middle * bins).astype(int), bins - 1)
        past, today = _merged(past, merged, bins), _merged(today, merged, bins)
    used = (past > 0) | (today > 0)
    past, today = past[used], today[used]
    # Half a row more a group: a group that is new or gone must not count for ever.
    before = (past + 0.5) / (past.sum() + 0.5 * len(past))
    now = (today + 0.5) / (today.sum() + 0.5 * len(today))
    index = float(((now - before) * np.log(now / before)).sum())
    by_chance = (len(past) - 1) * (1 / max(today.sum(), 1.0) + 1 / max(past.sum(), 1.0))
    return float(max(0.0, index - by_chance))


def _merged(counts: Floats, into: NDArray[np.int64], bins: int) -> Floats:
    return np.asarray(np.bincount(into, counts, bins), np.float64)


def decomposition(panel: Panel, level: float) -> tuple[float, float, str, float]:
    """Split the change of the rate of hits into a change of mix and a change of rates.

    Both parts are taken half-way between before and now, so that they add up (Kitagawa 1955).

    Parameters
    ----------
    level : float
        The rate of hits of the last days.

    Returns
    -------
    mix, rate : float
        Relative changes of the rate of hits.
    group, part : str, float
        The group whose own rate changes most of it, and its part.
    """
    past_base, past_hits = past_sum(panel.base), past_sum(panel.hits)
    share = np.stack([past_base, panel.base[-1]])
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1.0)
    hits, base = np.stack([past_hits, panel.hits[-1]]), np.stack([past_base, panel.base[-1]])
    rate = hits / np.maximum(base, 1.0)
    # A group without rows on one side has no rate there: the other side's stands for it.
    rate = np.where(base > 0, rate, rate[::-1])
    mix = (share[1] - share[0]) * rate.mean(axis=0)
    own = (rate[1] - rate[0]) * share.mean(axis=0)
    most = int(np.argmax(np.abs(own)))
    scale = level if level > 0 and not math.isnan(level) else 1.0
    return (
        float(mix.sum()) / scale,
        float(own.sum()) / scale,
        panel.groups[most],
        float(own[most]) / scale,
    )

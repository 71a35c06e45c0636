"""Counts by group against those of the last days: by chance, or not.

Counts are taken as quasi-Poisson (McCullagh and Nelder 1989): their variance is a multiple of
their mean, which is learnt from how much the last days differ among themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincc

Floats = NDArray[np.float64]
Side = Literal["both", "low", "high"]
# A group that is expected less often than this a day says little about how days differ.
_LEAST_EXPECTED = 1.0


@dataclass(frozen=True)
class GroupCounts:
    """Of every group of a day, how many there were and how many of these count.

    Of rules of kind `groups`: rows and hits; of kind `clicks`: promised clicks and clicks.
    """

    base: Mapping[str, float]
    hits: Mapping[str, float]

    @classmethod
    def read(cls, state: str) -> Self:
        """Read what `written` wrote."""
        content = json.loads(state)
        return cls(content["base"], content["hits"])

    @property
    def written(self) -> str:
        """As JSON; the same counts give the same text."""
        return json.dumps({"base": self.base, "hits": self.hits}, sort_keys=True)

    def largest(self, most: int) -> GroupCounts:
        """Keep the largest groups and call the others, together, `other`."""
        if len(self.base) <= most:
            return self
        order = sorted(self.base, key=lambda group: (-self.base[group], group))
        kept, rest = order[: most - 1], order[most - 1 :]
        base = {group: self.base[group] for group in kept}
        hits = {group: self.hits[group] for group in kept if group in self.hits}
        base["other"] = base.get("other", 0) + sum(self.base[group] for group in rest)
        hits["other"] = hits.get("other", 0) + sum(self.hits.get(group, 0) for group in rest)
        return GroupCounts(base, hits)


@dataclass(frozen=True)
class Panel:
    """A day and its last days side by side: arrays (days, groups), the day itself last."""

    groups: tuple[str, ...]
    base: Floats
    hits: Floats

    @classmethod
    def of(cls, past: Sequence[GroupCounts], today: GroupCounts) -> Self:
        """Line up the groups of all days; a group that a day lacks has no rows there."""
        days = [*past, today]
        groups = tuple(sorted({group for day in days for group in day.base}))
        base = np.array([[float(day.base.get(g, 0)) for g in groups] for day in days])
        hits = np.array([[float(day.hits.get(g, 0)) for g in groups] for day in days])
        return cls(groups, base.reshape(len(days), -1), hits.reshape(len(days), -1))


@dataclass(frozen=True)
class Deviation:
    """A group whose count chance does not explain."""

    group: str
    observed: float
    expected: float
    p_value: float

    def __str__(self) -> str:
        """The deviation in words."""
        return f"{self.group or 'unknown'} {self.observed:.6g} where {self.expected:.4g} expected"


def expected_by_mix(panel: Panel) -> tuple[Floats, Floats]:
    """Counts and what the last days' mix of groups lets expect; level of each day apart.

    Returns
    -------
    observed, expected : arrays (days, groups)
    """
    return panel.base, _levelled(
        panel.base, np.broadcast_to(past_sum(panel.base), panel.base.shape)
    )


def expected_by_rates(panel: Panel) -> tuple[Floats, Floats]:
    """Hits and what the last days' rates let expect of the rows; level of each day apart."""
    rate = past_sum(panel.hits) / np.maximum(past_sum(panel.base), 1.0)
    return panel.hits, _levelled(panel.hits, panel.base * rate)


def past_sum(counts: Floats) -> Floats:
    """Sum over the last days, without the day that is judged."""
    return np.asarray(counts[:-1].sum(axis=0))


def _levelled(observed: Floats, expected: Floats) -> Floats:
    """Scale each day's expectations by the ratio that half of them lie above.

    The median and not the sum: what one group lost must not look like a gain of all others. A
    group weighs as the root of what is expected of it, so that none alone decides.
    """
    made = np.zeros_like(expected, dtype=float)
    for day, (counts, means) in enumerate(zip(observed, expected, strict=True)):
        known = means > 0
        if not known.any():
            continue
        ratio = counts[known] / means[known]
        order = np.argsort(ratio, kind="stable")
        weight = np.cumsum(np.sqrt(means[known][order]))
        level = ratio[order][
            np.searchsorted(weight, weight[-1] / 2, side="right").clip(max=len(order) - 1)
        ]
        if level == 0:
            level = counts.sum() / means.sum()
        made[day] = means * level
    return made


def dispersion(observed: Floats, expected: Floats) -> float:
    """Variance of the last days' counts as a multiple of their mean, at least 1.

    Parameters
    ----------
    observed, expected : arrays (days, groups)
        The day that is judged comes last and is not looked at.
    """
    counts, means = observed[:-1], expected[:-1]
    enough = (means.mean(axis=0) >= _LEAST_EXPECTED)[None, :] & (means > 0)
    degrees = (len(counts) - 1) * max(int(enough.any(axis=0).sum()) - 1, 1)
    if degrees <= 0 or not enough.any():
        return 1.0
    squares = (counts - means)[enough] ** 2 / means[enough]
    return max(1.0, float(squares.sum()) / degrees)


def deviations(
    panel: Panel,
    observed: Floats,
    expected: Floats,
    *,
    scatter: float,
    tolerance: float,
    chance: float,
    side: Side,
    is_estimate: bool = True,
) -> list[Deviation]:
    """Groups of the last day that lie outside, the least likely first.

    Parameters
    ----------
    observed, expected : arrays (days, groups)
    scatter : float
        As of `dispersion`.
    tolerance : float
        The expectation may be off by this share.
    chance : float
        False discovery rate over all groups.
    is_estimate : bool
        Whether the expectations come from the counts of the last days, and are as uncertain.
    """
    counts, means = observed[-1], expected[-1]
    judged = np.flatnonzero((means > 0) | (counts > 0))
    known = np.maximum(past_sum(observed), 1.0)
    spread = scatter * (1.0 + means / known if is_estimate else np.ones(len(means)))
    p_values = np.ones(len(counts))
    for place in judged:
        p_values[place] = _p_value(
            counts[place], max(means[place], 0.5), spread[place], tolerance, side
        )
    return [
        Deviation(panel.groups[at], counts[at], means[at], p_values[at])
        for at in discoveries(p_values[judged], chance, judged)
    ]


def _p_value(count: float, mean: float, spread: float, tolerance: float, side: Side) -> float:
    """Chance of a count as extreme as this one, of a quasi-Poisson count, two-sided for both."""
    high, low = mean * (1.0 + tolerance) / spread, mean / (1.0 + tolerance) / spread
    scaled = count / spread
    above = float(gammainc(scaled, high)) if scaled > 0 else 1.0
    below = float(gammaincc(scaled + 1.0, low))
    chosen = {"high": above, "low": below, "both": 2.0 * min(above, below)}
    return min(1.0, chosen[side])


def discoveries(p_values: Floats, chance: float, names: NDArray[np.int64]) -> list[int]:
    """Names of the hypotheses that fall at a false discovery rate, the least likely first.

    Benjamini and Hochberg 1995.

    Examples
    --------
    >>> discoveries(np.array([0.04, 0.001, 0.6]), 0.05, np.arange(3))
    [1]
    """
    order = np.argsort(p_values, kind="stable")
    limits = chance * np.arange(1, len(order) + 1) / max(len(order), 1)
    passed = np.flatnonzero(p_values[order] <= limits)
    return [int(names[at]) for at in order[: passed[-1] + 1]] if len(passed) else []

"""Whether a metric keeps its bounds, judged by its interval and not by its number of clicks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "FAIL", "SKIP"]

PROVEN = "the whole interval lies outside"
OPEN = "outside, but the interval reaches inside: chance may have put it there"
NO_INTERVAL = "outside, and without an interval nobody can tell whether by chance"
AT_ODDS = "inside, but its interval lies outside: one of the two is wrong"


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Where a metric may lie.

    Attributes
    ----------
    low, high : float
        Both still inside, unless `is_open` says that `high` itself is outside.
    """

    low: float = -math.inf
    high: float = math.inf
    is_open: bool = False

    def __str__(self) -> str:
        """The bounds in words.

        Examples
        --------
        >>> str(Bounds(low=0.8, high=1.25)), str(Bounds(high=1.0, is_open=True)), str(Bounds(low=2))
        ('0.8 to 1.25', '< 1', '>= 2')
        """
        if math.isinf(self.high):
            return f">= {self.low:g}"
        if math.isinf(self.low):
            return f"{'<' if self.is_open else '<='} {self.high:g}"
        return f"{self.low:g} to {self.high:g}"

    def hold(self, value: float) -> bool:
        """Whether a value lies inside."""
        below = value < self.high if self.is_open else value <= self.high
        return below and value >= self.low

    def exclude(self, low: float, high: float) -> bool:
        """Whether every value from `low` to `high` lies outside."""
        return high < self.low or not self.hold(max(low, self.low))


@dataclass(frozen=True)
class Estimate:
    """A metric with its interval; None where it is undefined, or unbounded on that side."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    def __str__(self) -> str:
        """The estimate in words.

        Examples
        --------
        >>> str(Estimate(0.5, 0.25, 1.0)), str(Estimate(None, 54.2, None, "no clicks"))
        ('0.5 (0.25 to 1)', 'at least 54.2 (no clicks)')
        """
        if self.value is None:
            reason = self.reason or "undefined"
            return (
                f"no value ({reason})"
                if self.low is None
                else f"at least {self.low:.4g} ({reason})"
            )
        if self.low is None or self.high is None:
            return f"{self.value:.4g} (no interval)"
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"

    def judge(self, bounds: Bounds) -> tuple[Verdict, str]:
        """Say whether the bounds are kept, and why not.

        Returns
        -------
        verdict, why : str
            FAIL where the whole interval lies outside, PASS where the value lies inside. SKIP,
            undecided, where the value is outside or missing and the interval still reaches
            inside. No reason of a pass.
        """
        value = None if self.value is None or math.isnan(self.value) else self.value
        low = -math.inf if self.low is None or math.isnan(self.low) else self.low
        high = math.inf if self.high is None or math.isnan(self.high) else self.high
        is_inside = value is not None and bounds.hold(value)
        if bounds.exclude(low, high):
            return ("SKIP", AT_ODDS) if is_inside else ("FAIL", PROVEN)
        if is_inside:
            return "PASS", ""
        if value is None:
            return "SKIP", "" if math.isinf(low) else OPEN
        return "SKIP", NO_INTERVAL if math.isinf(low) and math.isinf(high) else OPEN

"""Kinds of rules about what another rule of the same table measures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.quality.rule_base import RuleBase


class ComparisonRule(RuleBase):
    """A rule about a measure that another rule of the table takes, slice by slice.

    Attributes
    ----------
    of : str
        That rule.
    """

    of: str


class CompareRule(ComparisonRule):
    """A measure divided by another one of the same day, of this or another table.

    Attributes
    ----------
    of : str
        Rule of this table whose value is the numerator.
    to : str
        `rule`, or `table.rule` of a table that is checked earlier in the run.
    noise : float
        Widens the bounds by this many times 1 / sqrt(rows of `of`): counting noise.
    """

    kind: Literal["compare"]
    to: str
    noise: float = Field(default=0.0, ge=0)


class HistoryRule(ComparisonRule):
    """Robust z of a measure against its own last days.

    Attributes
    ----------
    floor : float
        Least spread, as a share of the median: changes smaller than this are never anomalies.
    ceiling : float, optional
        Largest spread of the last days, as a share of the median: restless days excuse no collapse.
    least : float
        Least spread in the measure's own unit, for measures that are 0 on most days.
    split_by : tuple of str
        Rules of kind `groups` whose hits are what the measure counts: the message says how much
        of the change is mix (other groups came) and how much is rate (they clicked otherwise).
    """

    kind: Literal["history"]
    floor: float = Field(default=0.05, gt=0)
    ceiling: float | None = Field(default=None, gt=0)
    least: float = Field(default=0.0, ge=0)
    split_by: tuple[str, ...] = ()


class ChangeRule(ComparisonRule):
    """Number of earlier days with exactly this value, for measures that never repeat."""

    kind: Literal["change"]
    max: float | None = 0.0


class _GroupComparison(ComparisonRule):
    """How many groups lie outside what the last days let expect.

    A group is outside where chance, with the over-dispersion that the last days show, explains
    its count by less than `chance`, all groups together (Benjamini and Hochberg 1995), even if
    what is expected were off by `tolerance`.

    Attributes
    ----------
    tolerance : float
        Relative change that is not worth telling.
    chance : float
        False discovery rate over the groups of a day.
    side : {'both', 'low', 'high'}
        Which deviations count.
    """

    tolerance: float = Field(default=0.25, ge=0)
    chance: float = Field(default=1e-4, gt=0, lt=1)
    side: Literal["both", "low", "high"] = "both"
    max: float | None = 0.0


class MixRule(_GroupComparison):
    """Groups whose share of the rows is not that of the last days, such as a missing hour."""

    kind: Literal["mix"]


class RatesRule(_GroupComparison):
    """Groups whose rate of hits moved apart from that of the other groups.

    What moves all groups alike is not looked at: that is for a rule about the whole day.
    """

    kind: Literal["rates"]


class PromisesRule(_GroupComparison):
    """Groups whose clicks are not as many as promised, of a rule of kind `clicks`."""

    kind: Literal["promises"]


class StabilityRule(ComparisonRule):
    """Population stability index of the groups against the last days, less what chance gives.

    Attributes
    ----------
    bins : int
        Groups are merged, in the order of their numbers, into so many of about equal share in the
        last days; 0: they stay as they are.
    """

    kind: Literal["stability"]
    bins: int = Field(default=0, ge=0)
    max: float | None = 0.25


class EvidenceRule(ComparisonRule):
    """Evidence gathered day by day that promises are off by more than a tolerance.

    The decimal logarithm of a tolerance e-detector (Shin, Ramdas and Rinaldo 2024), the mean over
    groups and tilts: at 3, a sound system raises one false alarm in 1,000 days at most. What was
    gathered travels from day to day in `state`.

    Attributes
    ----------
    tolerance : float
        Relative miscalibration that is no fault.
    dispersion : float
        Variance of a day's clicks as a multiple of what independent clicks would have.
    """

    kind: Literal["evidence"]
    tolerance: float = Field(default=0.05, ge=0, lt=1)
    dispersion: float = Field(default=2.0, ge=1)
    max: float | None = 3.0

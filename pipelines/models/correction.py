"""What is added to the joint model, where that is proven, and the level of the day.

The joint model alone is the prior: logit = joint + level + correction, and the correction is 0
unless its gain on later days than it was fitted on is beyond chance. It is linear in what the two
FTRL models say beyond the joint one, with a ridge towards nothing; its context terms have constant
weights, so that a listing's score and a request's own context still add up to one logit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.models.ensemble import EnsembleInputs
from pipelines.models.gain import Gain, gain_of, later_half
from pipelines.models.level import forecast
from pipelines.models.level_prior import LevelPrior
from pipelines.models.logistic import FitError, fit_logistic

Floats = npt.NDArray[np.float64]

LEVEL, INTERCEPT = "level", "intercept"
ALONE, CORRECTED = "joint_alone", "corrected"

_LISTING_TERMS = (
    "joint_listing",
    "historical_over_joint_listing",
    "content_over_joint_listing",
    "historical_over_joint_listing:log1p_impressions",
    "content_over_joint_listing:log1p_impressions",
    "is_cold",
    "log1p_impressions",
)
_CONTEXT_TERMS = (
    "joint_context",
    "historical_over_joint_context",
    "content_over_joint_context",
)
TERMS = (*_LISTING_TERMS, *_CONTEXT_TERMS)
CONTENT_ALONE, RATES, LISTING_RATE = "content_alone", "rates", "listing_rate"
STEPS: Mapping[str, Mapping[str, float]] = {
    CONTENT_ALONE: {"content_over_joint_listing": 1.0, "content_over_joint_context": 1.0},
    RATES: {"joint_listing": -1.0, "joint_context": -1.0, LISTING_RATE: 1.0},
}
"""Weights that take the joint model out again, see `step_down`."""
# The intercept is held like a level: ten clicks' worth around nothing.
_INTERCEPT_L2 = 10.0


@dataclass(frozen=True)
class StackInputs:
    """What the stack knows of each row, shape (n,) each.

    Attributes
    ----------
    pair : EnsembleInputs
        The two FTRL models' logits and the evidence behind them.
    joint_listing : numpy.ndarray of float64
        The listing's joint logit at the reference context.
    joint_context : numpy.ndarray of float64 or None
        What the request adds to it; left out where only listings are scored.
    listing_rate : numpy.ndarray of float64 or None
        Logarithm of the listing's smoothed clicks to those expected at its positions; left out
        where a joint model is what is judged.
    """

    pair: EnsembleInputs
    joint_listing: Floats
    joint_context: Floats | None = None
    listing_rate: Floats | None = None

    def term(self, name: str) -> Floats:
        """Value of a term, shape (n,)."""
        part, _, evidence = name.partition(":")
        if part in ("joint_listing", "joint_context", LISTING_RATE):
            values = self._given(part)
        elif "_over_joint_" in part:
            model, _, scope = part.partition("_over_joint_")
            values = self.pair.term(f"{model}_{scope}") - self._given(f"joint_{scope}")
        else:
            values = self.pair.term(part)
        return values * self.pair.term(evidence) if evidence else values

    def _given(self, name: str) -> Floats:
        values: Floats | None = getattr(self, name)
        if values is None:
            raise ValueError(f"{name} is needed and was not given")
        return values

    @property
    def joint(self) -> Floats:
        """The joint model's logit."""
        return self.joint_listing + self._given("joint_context")


class CorrectionRow(NamedTuple):
    """One row of the table `stack_weights`."""

    term: str
    weight: float
    form: str
    reason: str | None
    rows: int
    clicks: int
    gain: float
    standard_error: float


@dataclass(frozen=True)
class Correction:
    """Weights of what is added to the joint model's logit.

    Attributes
    ----------
    level : float
        Of the day to come.
    weights : mapping of str to float
        Of the terms and the intercept; empty for the joint model alone.
    gain : Gain
        Of the correction, out of time.
    reason : str or None
        Why there is none.
    """

    level: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    gain: Gain = field(default_factory=lambda: Gain(0.0, 0.0))
    reason: str | None = None
    rows: int = 0
    clicks: int = 0

    @property
    def form(self) -> str:
        """What it makes of the joint model."""
        steps = [name for name, weights in STEPS.items() if weights == self.weights]
        return steps[0] if steps else CORRECTED if self.weights else ALONE

    def listing_logit(self, inputs: StackInputs) -> Floats:
        """The listing's part of the logit, level included, shape (n,)."""
        constant = self.level + self.weights.get(INTERCEPT, 0.0)
        return inputs.joint_listing + constant + self._sum(inputs, (*_LISTING_TERMS, LISTING_RATE))

    def context_logit(
        self, joint: npt.ArrayLike, historical: npt.ArrayLike, content: npt.ArrayLike
    ) -> Floats:
        """What a request's context parts of the three logits add, shape (n,)."""
        of_joint = np.asarray(joint, dtype=np.float64)
        beyond = {
            "joint_context": of_joint,
            "historical_over_joint_context": np.asarray(historical, dtype=np.float64) - of_joint,
            "content_over_joint_context": np.asarray(content, dtype=np.float64) - of_joint,
        }
        logit: Floats = of_joint.copy()
        for name, values in beyond.items():
            if name in self.weights:
                logit = logit + self.weights[name] * values
        return logit

    def logit(self, inputs: StackInputs) -> Floats:
        """The whole logit of each impression, level included, shape (n,)."""
        context = self.context_logit(
            inputs.term("joint_context"),
            inputs.pair.term("historical_context"),
            inputs.pair.term("content_context"),
        )
        return self.listing_logit(inputs) + context

    def _sum(self, inputs: StackInputs, names: Iterable[str]) -> Floats:
        total = np.zeros(len(inputs.joint_listing))
        for name in names:
            if name in self.weights:
                total += self.weights[name] * inputs.term(name)
        return total

    def to_rows(self) -> list[CorrectionRow]:
        """Rows of the table `stack_weights`."""
        return [
            CorrectionRow(
                term, weight, self.form, self.reason, self.rows, self.clicks,
                self.gain.nats, self.gain.standard_error,
            )
            for term, weight in {LEVEL: self.level, **self.weights}.items()
        ]  # fmt: skip

    @classmethod
    def from_rows(cls, rows: Iterable[CorrectionRow]) -> Correction:
        """Rebuild what `to_rows` gave.

        Raises
        ------
        ValueError
            No rows, or an unknown or repeated term.
        """
        given = [CorrectionRow(*row) for row in rows]
        weights = {row.term: row.weight for row in given}
        if LEVEL not in weights or len(weights) != len(given):
            raise ValueError(f"not the rows of one stack: {sorted(row.term for row in given)}")
        known = (INTERCEPT, *TERMS, LISTING_RATE)
        unknown = sorted(weights.keys() - {LEVEL, *known})
        if unknown:
            raise ValueError(f"unknown terms of the stack: {', '.join(unknown)}")
        level = weights.pop(LEVEL)
        ordered = {term: weights[term] for term in known if term in weights}
        first = given[0]
        return cls(
            level,
            ordered,
            Gain(first.gain, first.standard_error),
            first.reason,
            first.rows,
            first.clicks,
        )


def fit_correction(
    inputs: StackInputs,
    clicked: npt.NDArray[np.bool_],
    user: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
    ahead: int,
    level: LevelPrior,
    *,
    l2: float,
    min_clicks: int,
) -> Correction:
    """Fit the correction and the level on out-of-time predictions of promoted traffic.

    Parameters
    ----------
    inputs : StackInputs
        Sorted by a stable key.
    clicked, user, day : numpy.ndarray, shape (n,)
        ``day`` in days since 1970.
    ahead : int
        The day to come, for the level.
    level : LevelPrior
        How far off the joint model may be, and how the market moves.
    l2 : float
        Ridge of the weights times their term's standard deviation.
    min_clicks : int
        Fewer clicks, or fewer non-clicks, determine no correction.
    """
    clicks = int(np.count_nonzero(clicked))
    weights: dict[str, float] = {}
    gain, reason = Gain(0.0, 0.0), None
    joint = inputs.joint
    if min(clicks, len(clicked) - clicks) < min_clicks:
        reason = f"{clicks} clicks in {len(clicked)} impressions, {min_clicks} of each are needed"
    else:
        design = np.stack([inputs.term(name) for name in TERMS], axis=1)
        gain = _out_of_time(design, joint, clicked, user, later_half(day), l2)
        if gain.is_proven:
            weights = _fit(design, joint, clicked, l2)
        else:
            reason = f"its gain of {gain} is not proven"
    made = Correction(0.0, weights, gain, reason, len(clicked), clicks)
    if not clicks:
        return made
    nothing = np.zeros(len(clicked), dtype=np.bool_)
    shift = forecast(made.logit(inputs), clicked.astype(np.uint8), day, nothing, ahead, level)
    return Correction(shift, weights, gain, reason, len(clicked), clicks)


def at_own_level(logit: Floats, clicked: npt.NDArray[np.bool_]) -> Floats:
    """Logits moved by a constant so that the probabilities sum to the clicks, shape (n,)."""
    return logit + own_level(logit, clicked)


def own_level(logit: Floats, clicked: npt.NDArray[np.bool_]) -> float:
    """The constant by which logits of shape (n,) sum to the clicks; 0 without both outcomes."""
    if not 0 < int(np.count_nonzero(clicked)) < len(clicked):
        return 0.0
    nothing = np.empty((len(logit), 0))
    shift = fit_logistic(
        nothing, clicked.astype(np.float64), offset=logit, intercept_l2=_INTERCEPT_L2
    )
    return shift.intercept


def _fit(
    design: Floats, joint: Floats, clicked: npt.NDArray[np.bool_], l2: float
) -> dict[str, float]:
    fit = fit_logistic(
        design, clicked.astype(np.float64), offset=joint, l2=l2, intercept_l2=_INTERCEPT_L2
    )
    return {INTERCEPT: fit.intercept, **dict(zip(TERMS, fit.weights, strict=True))}


def _out_of_time(
    design: Floats,
    joint: Floats,
    clicked: npt.NDArray[np.bool_],
    user: npt.NDArray[np.int64],
    is_later: npt.NDArray[np.bool_],
    l2: float,
) -> Gain:
    """Gain on the later days of a correction fitted on the earlier ones."""
    earlier = ~is_later
    try:
        weights = _fit(design[earlier], joint[earlier], clicked[earlier], l2)
    except FitError:
        return Gain(0.0, 0.0)
    total = np.full(int(np.count_nonzero(is_later)), weights[INTERCEPT])
    for number, name in enumerate(TERMS):
        total += weights[name] * design[is_later, number]
    before = joint[is_later]
    return gain_of(before, before + total, clicked[is_later], user[is_later])

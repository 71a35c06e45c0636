"""The ensemble: one logistic regression over the parts of the historical and content logits.

Trust moves from content to history as evidence grows, because the listing parts are multiplied
with the listing's impressions; the context parts have constant weights, so that a listing's
score for the day and the request's own context still add up to one logit.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.models.elementary import probabilities
from pipelines.models.logistic import fit_logistic

FloatArray = npt.NDArray[np.float64]

INTERCEPT = "intercept"
LEVEL = "level"
CONSTANTS = (INTERCEPT, LEVEL)
COLD_THRESHOLD = "cold_threshold"
_LISTING_PARTS = ("historical_listing", "content_listing")
_CONTEXT_PARTS = ("historical_context", "content_context")
_EVIDENCE = ("is_cold", "log1p_impressions", "log1p_shop_impressions", "log1p_age_days")
_SEPARATOR = ":"

FULL = "full"
FEW_TERMS = "few_terms"
TWO_SLOPES = "two_slopes"
INTERCEPT_SHIFT = "intercept_shift"
HALF_AND_HALF = "half_and_half"

# Rows of the rarer class (clicks, in practice) that a form needs: about twenty a weight.
_NEEDED = ((FULL, 300), (FEW_TERMS, 100), (TWO_SLOPES, 30), (INTERCEPT_SHIFT, 1))
# A shift from a handful of clicks is mostly noise (its variance is 1 / clicks): it is held by a
# normal prior around no shift with the weight of ten clicks.
_SHIFT_L2 = 10.0
# Standard error of what the models' levels promise for some weeks, the chance of the clicks aside:
# the market moves before they do (docs/studies.md).
_LEVEL_ERROR = 0.02


# Products with the other evidence cost 4 % of the excess log loss in the cold segment: there are
# too few cold clicks in a week to learn slopes of their own from (docs/studies.md).
_PRODUCTS = tuple(f"{part}{_SEPARATOR}log1p_impressions" for part in _LISTING_PARTS)
_FULL_TERMS = (*_LISTING_PARTS, *_CONTEXT_PARTS, *_EVIDENCE, *_PRODUCTS)
_TERMS_OF_FEW = (*_LISTING_PARTS, *_CONTEXT_PARTS, *_EVIDENCE[:2], *_PRODUCTS)
_KNOWN_TERMS = (*CONSTANTS, *_FULL_TERMS)


@dataclass(frozen=True)
class EnsembleInputs:
    """What the ensemble knows of each row, as float64 arrays of one shape (rows,).

    The parts are in logits; ``is_cold`` is 0 or 1; the evidence is the log1p of the window's
    impressions of the listing and of its shop, and of the listing's age in days. The context
    parts (pair parts included) may be left out where only listings are scored.
    """

    historical_listing: FloatArray
    content_listing: FloatArray
    is_cold: FloatArray
    log1p_impressions: FloatArray
    log1p_shop_impressions: FloatArray
    log1p_age_days: FloatArray
    historical_context: FloatArray | None = None
    content_context: FloatArray | None = None

    def __post_init__(self) -> None:
        rows = np.shape(self.historical_listing)
        for name in (*_LISTING_PARTS, *_EVIDENCE, *_CONTEXT_PARTS):
            given = getattr(self, name)
            if given is None:
                continue
            values = np.asarray(given, dtype=np.float64)
            if values.shape != rows or values.ndim != 1:
                raise ValueError(f"{name} has shape {values.shape}, historical_listing {rows}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} holds a value that is not finite")
            object.__setattr__(self, name, values)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.historical_listing)

    def term(self, name: str) -> FloatArray:
        """Value of one term (the intercept aside), shape (rows,)."""
        part, _, evidence = name.partition(_SEPARATOR)
        values: FloatArray | None = getattr(self, part)
        if values is None:
            raise ValueError(f"{part} is needed and was not given")
        return values * self.term(evidence) if evidence else values


class EnsembleRow(NamedTuple):
    """One row of the table `ensemble_weights`."""

    term: str
    weight: float
    form: str
    reason: str | None
    rows: int
    clicks: int


@dataclass(frozen=True)
class Ensemble:
    """Learnt weights on the raw scale of the terms: logit = sum weight * term.

    ``weights`` holds the constants and every term of the form; ``form`` says which form was
    fitted and ``reason`` why not the full one. Of the two constants the intercept is fitted;
    ``level`` takes back what of it is taken for chance (`fit_ensemble`).
    """

    weights: Mapping[str, float]
    form: str
    reason: str | None
    rows: int
    clicks: int
    cold_threshold: int | None = None

    @property
    def level(self) -> float:
        """What is added to the fitted logit, see `fit_ensemble`; 0 where nothing is known of it."""
        return self.weights.get(LEVEL, 0.0)

    def fitted_logit(self, inputs: EnsembleInputs) -> FloatArray:
        """The logit without the level: of the rows fitted on, it sums to their clicks."""
        return self.logit(inputs) - self.level

    def listing_logit(self, inputs: EnsembleInputs) -> FloatArray:
        """Part of the logit that is the listing's own, constants included, shape (rows,)."""
        logit = np.full(inputs.rows, self.weights[INTERCEPT] + self.level)
        for name in _FULL_TERMS:
            if name in self.weights and name not in _CONTEXT_PARTS:
                logit += self.weights[name] * inputs.term(name)
        return logit

    def context_logit(
        self, historical_context: npt.ArrayLike, content_context: npt.ArrayLike
    ) -> FloatArray:
        """Part of the logit that the request brings, from the models' context and pair parts."""
        historical, content = (self.weights.get(name, 0.0) for name in _CONTEXT_PARTS)
        logit: FloatArray = historical * np.asarray(historical_context, dtype=np.float64)
        return logit + content * np.asarray(content_context, dtype=np.float64)

    def logit(self, inputs: EnsembleInputs) -> FloatArray:
        """Whole logit of each impression: listing part + context part, shape (rows,)."""
        context = self.context_logit(*(inputs.term(name) for name in _CONTEXT_PARTS))
        return self.listing_logit(inputs) + context

    def to_rows(self) -> list[EnsembleRow]:
        """Give the rows of the table `ensemble_weights`, one per term and the cold threshold."""
        weights = dict(self.weights)
        if self.cold_threshold is not None:
            weights[COLD_THRESHOLD] = float(self.cold_threshold)
        return [
            EnsembleRow(term, weight, self.form, self.reason, self.rows, self.clicks)
            for term, weight in weights.items()
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[EnsembleRow]) -> "Ensemble":
        """Rebuild what `to_rows` gave, whatever the order of the rows.

        Raises
        ------
        ValueError
            No rows, an unknown or repeated term, no intercept, or rows of several fits.
        """
        given = [EnsembleRow(*row) for row in rows]
        weights = {row.term: row.weight for row in given}
        fits = {row[2:] for row in given}
        unknown = weights.keys() - {*_KNOWN_TERMS, COLD_THRESHOLD}
        if unknown or len(weights) != len(given) or len(fits) != 1 or INTERCEPT not in weights:
            raise ValueError(
                f"not the rows of one ensemble: {len(given)} rows, {len(fits)} fits, "
                f"unknown terms {sorted(unknown)}"
            )
        threshold = weights.pop(COLD_THRESHOLD, None)
        return cls(
            {term: weights[term] for term in _KNOWN_TERMS if term in weights},
            *fits.pop(),
            cold_threshold=None if threshold is None else int(threshold),
        )


def fit_ensemble(
    inputs: EnsembleInputs,
    clicked: npt.ArrayLike,
    *,
    l2: float = 1.0,
    cold_threshold: int | None = None,
) -> Ensemble:
    """Fit the ensemble on out-of-time predictions of natural promoted traffic.

    With few clicks fewer terms are fitted, in this order: all terms (300 clicks); without the
    shop and age terms (100); intercept and one slope per model (30); an intercept added to the
    average of the two logits (1); that average as it is. `Ensemble.reason` says so.

    The intercept makes the probabilities sum to the clicks of the rows. But the models' own levels
    are forecasts from the same clicks, and more: where both follow the chance of two weeks, it
    counts twice. So with g the log of what the models promised over what came, and v the variance
    that chance and the forecasts' error give it, the share v / g^2 of g (at most all) is put back:
    `Ensemble.level`, the positive-part rule of James and Stein. Small misses leave the level where
    the models have it, large ones are taken for what they are.

    Parameters
    ----------
    inputs
        The impressions; the context parts are needed. Sort the rows by a stable key: the last
        bits of the sums depend on their order.
    clicked
        Shape (rows,), boolean or 0/1.
    l2
        Ridge penalty of the weights times their term's standard deviation, the intercept aside.
    cold_threshold
        The impressions below which ``is_cold`` was set, kept with the weights.

    Raises
    ------
    ValueError
        Arrays of different lengths, missing context parts or labels other than 0 and 1.
    FitError
        Newton's method did not converge.

    Notes
    -----
    The linear stack of Aryafar, Guillory, Hong (AdKDD 2017) with the products of Sill et al.,
    Feature-Weighted Linear Stacking (2009).
    """
    labels = np.asarray(clicked, dtype=np.float64)
    if labels.shape != (inputs.rows,):
        raise ValueError(f"clicked has shape {labels.shape} for {inputs.rows} impressions")
    if not ((labels == 0.0) | (labels == 1.0)).all():
        raise ValueError("clicked must hold 0 and 1 only")
    parts = {name: inputs.term(name) for name in (*_LISTING_PARTS, *_CONTEXT_PARTS)}
    clicks = int(np.count_nonzero(labels))
    fewer = min(clicks, inputs.rows - clicks)
    form = next((form for form, needed in _NEEDED if fewer >= needed), HALF_AND_HALF)
    reason = None
    if form != FULL:
        reason = f"{clicks} clicks in {inputs.rows} impressions; the full form needs 300 of each"
    weights: dict[str, float]
    historical = parts["historical_listing"] + parts["historical_context"]
    content = parts["content_listing"] + parts["content_context"]
    if form in (FULL, FEW_TERMS):
        terms = _FULL_TERMS if form == FULL else _TERMS_OF_FEW
        fit = fit_logistic(np.stack([inputs.term(t) for t in terms], axis=1), labels, l2=l2)
        weights = {INTERCEPT: fit.intercept, **dict(zip(terms, fit.weights, strict=True))}
    else:
        intercept, slopes = 0.0, (0.5, 0.5)
        if form == TWO_SLOPES:
            fit = fit_logistic(np.stack([historical, content], axis=1), labels, l2=l2)
            intercept, slopes = fit.intercept, (fit.weights[0], fit.weights[1])
        elif form == INTERCEPT_SHIFT:
            offset = 0.5 * historical + 0.5 * content
            nothing = np.empty((inputs.rows, 0))
            shift = fit_logistic(nothing, labels, offset=offset, intercept_l2=_SHIFT_L2)
            intercept = shift.intercept
        weights = {INTERCEPT: intercept, **dict(zip(parts, slopes * 2, strict=True))}
    if form in (FULL, FEW_TERMS, TWO_SLOPES):
        weights[LEVEL] = _level([historical, content], clicks)
    if not all(math.isfinite(weight) for weight in weights.values()):
        raise ValueError("the ensemble's weights are not finite")
    return Ensemble(weights, form, reason, inputs.rows, clicks, cold_threshold)


def _level(logits: list[FloatArray], clicks: int) -> float:
    """What of the models' promise over the clicks is put back, in logits."""
    promised = [math.log(np.add.reduce(probabilities(logit)) / clicks) for logit in logits]
    over = math.fsum(promised) / len(promised)
    variance = 1.0 / clicks + _LEVEL_ERROR**2
    return over * variance / max(over**2, variance)

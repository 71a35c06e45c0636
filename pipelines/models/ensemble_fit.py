"""Fitting the ensemble: with few clicks fewer terms, and the level that chance is taken from."""

import math

import numpy as np
import numpy.typing as npt

from pipelines.models.elementary import probabilities
from pipelines.models.ensemble import (
    CONTEXT_PARTS,
    EVIDENCE,
    FULL_TERMS,
    INTERCEPT,
    LEVEL,
    LISTING_PARTS,
    PRODUCTS,
    Ensemble,
    EnsembleInputs,
)
from pipelines.models.logistic import fit_logistic

FloatArray = npt.NDArray[np.float64]

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

_TERMS_OF_FEW = (*LISTING_PARTS, *CONTEXT_PARTS, *EVIDENCE[:2], *PRODUCTS)


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
    parts = {name: inputs.term(name) for name in (*LISTING_PARTS, *CONTEXT_PARTS)}
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
        terms = FULL_TERMS if form == FULL else _TERMS_OF_FEW
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

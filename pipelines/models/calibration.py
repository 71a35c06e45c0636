"""Fitting the calibration map: candidates, chosen by log loss cross-fitted over users."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.models.calibration_map import (
    BETA,
    ISOTONIC,
    LOGIT_LIMIT,
    MIN_SLOPE,
    PLATT,
    SHIFT,
    CalibrationMap,
    beta_terms,
)
from pipelines.models.elementary import probabilities
from pipelines.models.isotonic import pool_adjacent_violators
from pipelines.models.logistic import FitError, fit_logistic
from pipelines.splitmix import mix_bits

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Clicks from which a candidate is tried, in the order in which a tie is decided.
_CANDIDATES = ((BETA, 300), (PLATT, 100), (SHIFT, 0), (ISOTONIC, 1000))
_BINS_PER_LOGIT = 1000
_BINS = int(2 * LOGIT_LIMIT * _BINS_PER_LOGIT) + 1
# A shift learnt from few clicks is held by a normal prior around none, worth ten clicks.
_SHIFT_L2 = 10.0
# Only makes the minimum unique where the data leave a direction open.
_TINY_L2 = 0.01
_CLICKS_PER_KNOT = 50
_MAX_KNOTS = 40
# Clicks' worth of belief, at each knot, in the beta map that the isotonic one corrects.
_KNOT_PRIOR_CLICKS = 10.0


@dataclass(frozen=True)
class _Binned:
    """Impressions and clicks per bin of 1/1000 logit: integers, so no order of rows matters."""

    logit: FloatArray
    impressions: IntArray
    clicks: IntArray

    def total_clicks(self) -> int:
        return int(self.clicks.sum())

    def non_empty(self) -> "_Binned":
        used = self.impressions > 0
        return _Binned(self.logit[used], self.impressions[used], self.clicks[used])


def user_folds(user: npt.NDArray[np.int64], folds: int) -> IntArray:
    """Fold of each user, in 0 .. folds - 1, by a mix of the user's 64-bit hash."""
    mixed = mix_bits(user.astype(np.int64).view(np.uint64))
    return (mixed % np.uint64(folds)).astype(np.int64)


def fit_calibration(
    logit: npt.ArrayLike, clicked: npt.ArrayLike, user: npt.ArrayLike, *, folds: int = 5
) -> CalibrationMap:
    """Fit the map from out-of-time logits to click probabilities.

    A shift of the logit is always tried, Platt's map from 100 clicks, beta calibration from 300,
    smoothed isotonic regression from 1,000. The lowest log loss on users whose rows a candidate
    did not see wins; without clicks the map is the identity. The result depends on the set of
    rows only, not on their order.

    Parameters
    ----------
    logit
        Shape (rows,). Values beyond +-20 are clipped and counted.
    clicked
        Shape (rows,), boolean or 0/1.
    user
        Shape (rows,), int64 hashes.

    Returns
    -------
    CalibrationMap
        With the rows, clicks, clipped logits and each candidate's cross-fitted log loss.

    Raises
    ------
    ValueError
        Arrays of different lengths, a logit that is not a number, fewer than two folds.

    Notes
    -----
    Platt (1999); beta: Kull, Silva Filho, Flach (AISTATS 2017).
    """
    logits = np.asarray(logit, dtype=np.float64)
    labels = np.asarray(clicked).astype(bool)
    users = np.asarray(user, dtype=np.int64)
    if not logits.shape == labels.shape == users.shape or logits.ndim != 1:
        raise ValueError(f"shapes differ: {logits.shape}, {labels.shape}, {users.shape}")
    if folds < 2:
        raise ValueError("cross-fitting needs two folds or more")
    if np.isnan(logits).any():
        raise ValueError("a logit is not a number")
    per_fold = _bin(logits, labels, user_folds(users, folds), folds)
    everything = _sum(per_fold)
    clicks = everything.total_clicks()
    losses: dict[str, float] = {}
    for kind in (kind for kind, needed in _CANDIDATES if clicks >= needed):
        loss = _cross_fitted_loss(kind, per_fold)
        if loss is not None:
            losses[kind] = loss / max(len(logits), 1)
    chosen = min(losses, key=lambda kind: losses[kind]) if len(losses) > 1 else SHIFT
    return replace(
        _FIT[chosen](everything),
        rows=len(logits),
        clicks=clicks,
        clipped=int(np.count_nonzero(np.abs(logits) > LOGIT_LIMIT)),
        candidates=losses,
    )


def _bin(
    logit: FloatArray, labels: npt.NDArray[np.bool_], fold: IntArray, folds: int
) -> list[_Binned]:
    scaled = np.floor((np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT) + LOGIT_LIMIT) * _BINS_PER_LOGIT)
    cell = fold * _BINS + scaled.astype(np.int64)
    impressions = np.bincount(cell, minlength=folds * _BINS).reshape(folds, _BINS)
    clicks = np.bincount(cell[labels], minlength=folds * _BINS).reshape(folds, _BINS)
    centres = (np.arange(_BINS) + 0.5) / _BINS_PER_LOGIT - LOGIT_LIMIT
    used = impressions.any(axis=0)
    return [_Binned(centres[used], impressions[k, used], clicks[k, used]) for k in range(folds)]


def _sum(parts: list[_Binned]) -> _Binned:
    impressions = np.add.reduce([part.impressions for part in parts])
    clicks = np.add.reduce([part.clicks for part in parts])
    return _Binned(parts[0].logit, impressions, clicks).non_empty()


def _cross_fitted_loss(kind: str, per_fold: list[_Binned]) -> float | None:
    """Log loss of each fold under the map of the others; None where a fit is impossible."""
    losses = []
    for held_out, judged in enumerate(per_fold):
        judged = judged.non_empty()
        training = _sum(per_fold[:held_out] + per_fold[held_out + 1 :])
        if not len(judged.logit):
            continue
        try:
            calibrated = _FIT[kind](training).calibrated_logit(judged.logit)
        except FitError:
            return None
        _, softplus = beta_terms(calibrated)
        losses.append(float(np.add.reduce(judged.impressions * softplus)))
        losses.append(-float(np.add.reduce(judged.clicks * calibrated)))
    return math.fsum(losses)


def _fit_shift(data: _Binned) -> CalibrationMap:
    if not data.total_clicks():
        return CalibrationMap(SHIFT, (1.0, 1.0, 0.0))
    nothing = np.empty((len(data.logit), 0))
    shift = fit_logistic(
        nothing,
        data.clicks,
        trials=data.impressions,
        offset=data.logit,
        intercept_l2=_SHIFT_L2,
    )
    return CalibrationMap(SHIFT, (1.0, 1.0, shift.intercept))


def _fit_slopes(data: _Binned, terms: list[FloatArray]) -> tuple[float, list[float]]:
    """Slopes of the terms, none below `MIN_SLOPE`, and the intercept.

    The log loss is convex: where one slope would lie below, the best allowed fit has it there.
    """
    fixed = [False] * len(terms)
    while True:
        free = [term for term, is_fixed in zip(terms, fixed, strict=True) if not is_fixed]
        fixed_slopes = [MIN_SLOPE if is_fixed else 1.0 for is_fixed in fixed]
        offset = np.add.reduce([s * t for s, t in zip(fixed_slopes, terms, strict=True)])
        columns = np.stack(free, axis=1) if free else np.empty((len(data.logit), 0))
        fit = fit_logistic(
            columns, data.clicks, trials=data.impressions, offset=offset, l2=_TINY_L2
        )
        changes = iter(fit.weights)
        slopes = [MIN_SLOPE if is_fixed else 1.0 + next(changes) for is_fixed in fixed]
        below = [slope < MIN_SLOPE for slope in slopes]
        if not any(below):
            return fit.intercept, slopes
        fixed = [is_fixed or low for is_fixed, low in zip(fixed, below, strict=True)]


def _fit_platt(data: _Binned) -> CalibrationMap:
    intercept, (slope,) = _fit_slopes(data, [data.logit])
    return CalibrationMap(PLATT, (slope, slope, intercept))


def _fit_beta(data: _Binned) -> CalibrationMap:
    intercept, (a, b) = _fit_slopes(data, list(beta_terms(data.logit)))
    return CalibrationMap(BETA, (a, b, intercept))


def _fit_isotonic(data: _Binned) -> CalibrationMap:
    """Correct the beta map by pooled, shrunk ratios of observed to expected clicks."""
    beta = _fit_beta(data)
    calibrated = beta.calibrated_logit(data.logit)
    expected = data.impressions * probabilities(calibrated)
    cumulative = np.cumsum(expected)
    groups = min(_MAX_KNOTS, max(2, data.total_clicks() // _CLICKS_PER_KNOT))
    edges = np.linspace(0.0, cumulative[-1], groups + 1)[1:-1]
    group = np.searchsorted(edges, cumulative - 0.5 * expected)
    mass = np.bincount(group, weights=expected, minlength=groups)
    clicks = np.bincount(group, weights=data.clicks, minlength=groups)
    position = np.bincount(group, weights=expected * data.logit, minlength=groups)
    used = mass > 0
    mass, clicks, position = mass[used], clicks[used], position[used]
    x = position / mass
    ratio = (clicks + _KNOT_PRIOR_CLICKS) / (mass + _KNOT_PRIOR_CLICKS)
    y = beta.calibrated_logit(x) + np.array([math.log(value) for value in ratio])
    pooled, weights, starts = pool_adjacent_violators(mass * y, mass)
    centres = np.add.reduceat(position, starts) / weights
    heights = pooled / weights
    for k in range(1, len(heights)):
        floor = heights[k - 1] + MIN_SLOPE * (centres[k] - centres[k - 1])
        heights[k] = max(heights[k], floor)
    curve = _isotonic_map(centres, heights)
    # Shrinking and joining the knots moves the sum of the probabilities a little: put it back.
    nothing = np.empty((len(data.logit), 0))
    rest = fit_logistic(
        nothing,
        data.clicks,
        trials=data.impressions,
        offset=curve.calibrated_logit(data.logit),
    )
    return _isotonic_map(centres, heights + rest.intercept)


def _isotonic_map(x: FloatArray, y: FloatArray) -> CalibrationMap:
    return CalibrationMap(ISOTONIC, knots=tuple(zip(x.tolist(), y.tolist(), strict=True)))


_FIT = {SHIFT: _fit_shift, PLATT: _fit_platt, BETA: _fit_beta, ISOTONIC: _fit_isotonic}

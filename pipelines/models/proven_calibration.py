"""Calibration that acts only where it is proven to: else the map and the factors are identities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.models.calibration import fit_calibration
from pipelines.models.calibration_map import SHIFT, CalibrationMap
from pipelines.models.field_factors import FieldFactors, fit_field_factors
from pipelines.models.fields import Coded
from pipelines.models.gain import Gain, gain_of, later_half

Floats = npt.NDArray[np.float64]

IDENTITY = (1.0, 1.0, 0.0)


@dataclass(frozen=True)
class ProvenCalibration:
    """A map and factors, and what each gained on later days than it was tried on."""

    map: CalibrationMap
    map_gain: Gain
    factors: FieldFactors
    factors_gain: Gain


def fit_proven_calibration(
    logit: Floats,
    clicked: npt.NDArray[np.bool_],
    user: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
    fields: Mapping[str, Coded],
    *,
    folds: int,
) -> ProvenCalibration:
    """Fit the calibration map, then the field factors, each if its gain is proven.

    Parameters
    ----------
    logit, clicked, user, day : numpy.ndarray, shape (n,)
        Out-of-time logits at the level of the rows' own clicks: the level is not the map's work.
    fields : mapping
        As of `fit_field_factors`.
    """
    later = later_half(day)
    earlier = ~later
    curve = fit_calibration(logit, clicked, user, folds=folds)
    tried = fit_calibration(logit[earlier], clicked[earlier], user[earlier], folds=folds)
    own, clicks, users = logit[later], clicked[later], user[later]
    map_gain = gain_of(own, tried.calibrated_logit(own), clicks, users)
    if not map_gain.is_proven:
        curve = replace(curve, kind=SHIFT, parameters=IDENTITY, knots=())
    p = curve.apply(logit)
    tried_factors = fit_field_factors(p[earlier], clicked[earlier], _part(fields, earlier))
    after = tried_factors.apply(p[later], _part(fields, later))
    factors_gain = gain_of(_logits(p[later]), _logits(after), clicks, users)
    factors = FieldFactors({}, {})
    if factors_gain.is_proven:
        factors = fit_field_factors(p, clicked, fields)
    return ProvenCalibration(curve, map_gain, factors, factors_gain)


def _part(fields: Mapping[str, Coded], rows: npt.NDArray[np.bool_]) -> dict[str, Coded]:
    return {name: (codes[rows], labels) for name, (codes, labels) in fields.items()}


def _logits(p: Floats) -> Floats:
    logit: Floats = np.log(p) - np.log1p(-p)
    return logit

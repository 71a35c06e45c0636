"""What is published in place of a joint model that is proven worse than plain click rates.

Unproven it is published as well: a joint model that has too few clicks to be proven was never worse
(docs/quality.md). Where it is proven worse than click rates by listing and position, out of time,
the content model alone takes its place if that is proven better than these rates, else the rates
do. Each is a choice of weights, so that servers add up what they always do; positions come in as
factors of a field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.models.calibration_map import ISOTONIC, CalibrationMap
from pipelines.models.correction import (
    CONTENT_ALONE,
    RATES,
    STEPS,
    Correction,
    StackInputs,
    own_level,
)
from pipelines.models.field_factors import FieldFactors
from pipelines.models.gain import Gain, gain_over_rates, later_half
from pipelines.models.proven_calibration import ProvenCalibration

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_POSITION = "position"
# Knots from ln p to the logit of p: what comes of them is off by less than .4 % of p up to .95.
_LOGARITHMS = tuple(
    (float(x), float(x - np.log(-np.expm1(x))))
    for x in (*np.arange(-14.0, -2.0, 0.5), *np.arange(-2.0, -0.04, 0.05))
)


def step_down(
    made: Correction,
    over_rates: Gain,
    inputs: StackInputs,
    rows: pa.Table,
    clicked: Flags,
    user: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
) -> Correction:
    """Give what is published: what was made, or what is proven to be better, see `at_rates`.

    Parameters
    ----------
    made : Correction
        As of `fit_correction`, to which the other parameters are known.
    over_rates : Gain
        Of the joint model over the rates on all of the rows.
    rows : pyarrow.Table
        With the column p_baseline; shape (n,) like the others.
    """
    # Without a click nothing tells how far chance goes.
    if not over_rates.is_disproven or not clicked.any():
        return made
    reason = (
        "the joint model is proven worse than click rates by listing and position: over "
        f"{len(clicked)} impressions it gains {over_rates}"
    )
    gain = _content_over_rates(inputs, rows, clicked, user, day)
    if gain.is_proven:
        weights = STEPS[CONTENT_ALONE]
        level = own_level(Correction(weights=weights).logit(inputs), clicked)
        return replace(made, level=level, weights=weights, gain=gain, reason=reason)
    gain = Gain(-over_rates.nats, over_rates.standard_error)
    return replace(made, weights=STEPS[RATES], gain=gain, reason=reason)


def at_rates(made: Correction, rates: Mapping[int, float]) -> tuple[Correction, ProvenCalibration]:
    """Give what makes of the listings' ratios the probabilities of the rates.

    A probability is the listing's ratio times the rate of its position: the level is that of all
    positions, the map takes the logarithm of a probability for what it is, and factors of the field
    `position` do the rest.

    Parameters
    ----------
    rates : mapping
        Position to the click rate known for the day to come; position 0 is all.
    """
    factors = {str(position): rate / rates[0] for position, rate in rates.items() if position}
    known = FieldFactors({_POSITION: factors}, {_POSITION: dict.fromkeys(factors, 0.0)})
    none = Gain(0.0, 0.0)
    proven = ProvenCalibration(CalibrationMap(ISOTONIC, knots=_LOGARITHMS), none, known, none)
    return replace(made, level=math.log(rates[0])), proven


def _content_over_rates(
    inputs: StackInputs,
    rows: pa.Table,
    clicked: Flags,
    user: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
) -> Gain:
    """Gain of the content model on the later days, at the level that it had on the earlier ones."""
    later = later_half(day)
    logit = Correction(weights=STEPS[CONTENT_ALONE]).logit(inputs)
    shifted = logit[later] + own_level(logit[~later], clicked[~later])
    return gain_over_rates(shifted, rows.filter(pa.array(later)), clicked[later], user[later])

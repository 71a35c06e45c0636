"""What is published in place of a joint model that is proven worse than plain click rates.

Unproven it is published as well: a joint model that has too few clicks to be proven was never worse
(docs/quality.md). Where it is proven worse than click rates by listing and position, out of time,
the content model alone takes its place if that is proven better than these rates, else the rates
do. Each is a choice of weights, so that servers add up what they always do; positions come in as
factors of the field position_band.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.models.calibration_map import SHIFT, CalibrationMap
from pipelines.models.correction import (
    CONTENT_ALONE,
    RATES,
    STEPS,
    Correction,
    StackInputs,
    own_level,
)
from pipelines.models.elementary import probabilities
from pipelines.models.field_factors import fit_field_factors
from pipelines.models.fields import coded
from pipelines.models.gain import Gain, gain_over_rates, later_half
from pipelines.models.proven_calibration import IDENTITY, ProvenCalibration

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# Prior of the click rate of a band of positions, in clicks: as `history.position_strength`.
_POSITION_CLICKS = 2.0
_POSITION = "position_band"


def step_down(
    made: Correction,
    over_rates: Gain,
    inputs: StackInputs,
    rows: pa.Table,
    clicked: Flags,
    user: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
) -> Correction:
    """Give what is published: what was made, or what is proven to be better.

    Parameters
    ----------
    made : Correction
        As of `fit_correction`, to which the other parameters are known.
    over_rates : Gain
        Of the joint model over the rates on all of the rows.
    rows : pyarrow.Table
        With the column p_baseline; shape (n,) like the others.
    """
    if not over_rates.is_disproven:
        return made
    step, gain = RATES, Gain(-over_rates.nats, over_rates.standard_error)
    of_content = _content_over_rates(inputs, rows, clicked, user, day)
    if of_content.is_proven:
        step, gain = CONTENT_ALONE, of_content
    reason = (
        "the joint model is proven worse than click rates by listing and position: over "
        f"{len(clicked)} impressions it gains {over_rates}"
    )
    level = _level(Correction(weights=STEPS[step]).logit(inputs), clicked, step)
    return replace(made, level=level, weights=STEPS[step], gain=gain, reason=reason)


def rates_by_position(
    made: Correction, inputs: StackInputs, rows: pa.Table, clicked: Flags
) -> ProvenCalibration:
    """Give the listings' rates what positions make of them; that they differ needs no proof."""
    p = probabilities(made.logit(inputs))
    bands = {_POSITION: coded(rows[_POSITION])}
    factors = fit_field_factors(p, clicked, bands, {_POSITION: _POSITION_CLICKS})
    none = Gain(0.0, 0.0)
    return ProvenCalibration(CalibrationMap(SHIFT, IDENTITY), none, factors, none)


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


def _level(logit: Floats, clicked: Flags, step: str) -> float:
    """The level at which the logits sum to the clicks; rates have none of their own."""
    start = 0.0
    if step == RATES:
        rate = (np.count_nonzero(clicked) + 1.0) / (len(clicked) + 100.0)
        start = math.log(rate / (1.0 - rate))
    return start + own_level(logit + start, clicked)

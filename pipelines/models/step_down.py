"""What is published in place of a joint model that is proven worse than plain click rates.

Unproven it is published as well: a joint model that has too few clicks to be proven was never worse
(docs/quality.md). Where it is proven worse than click rates by position, out of time, the first of
these takes its place that is proven better than it: the content model alone, the historical model
alone, one click rate (which the field factors vary by position, shop and the like, as far as they
are proven). Each is a choice of weights, so that servers add up what they always do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.models.correction import STEPS, Correction, StackInputs, own_level
from pipelines.models.gain import gain_of, gain_over_rates, later_half

Floats = npt.NDArray[np.float64]

_WORSE = "the joint model is proven worse than click rates by position"


def is_worse(reason: str) -> bool:
    """Whether a correction's reason is that the joint model is proven worse than rates."""
    return reason.startswith(_WORSE)


def step_down(
    made: Correction,
    inputs: StackInputs,
    rows: pa.Table,
    clicked: npt.NDArray[np.bool_],
    user: npt.NDArray[np.int64],
    day: npt.NDArray[np.int32],
) -> Correction:
    """Give what is published: what was made, or the first step down that is proven better.

    Every form is judged on the later half of the days at the level that it had on the earlier one.

    Parameters
    ----------
    made : Correction
        As of `fit_correction`, to which the other parameters are known.
    rows : pyarrow.Table
        With the column p_baseline; shape (n,) like the others.
    """
    later = later_half(day)
    if not later.any():
        return made

    def judged(weights: Mapping[str, float]) -> Floats:
        logit = Correction(weights=weights).logit(inputs)
        shifted: Floats = logit[later] + own_level(logit[~later], clicked[~later])
        return shifted

    joint = judged({})
    over_rates = gain_over_rates(joint, rows.filter(pa.array(later)), clicked[later], user[later])
    if not over_rates.is_disproven:
        return made
    reason = f"{_WORSE}: over {len(joint)} impressions it gains {over_rates}"
    for weights in STEPS.values():
        gain = gain_of(joint, judged(weights), clicked[later], user[later])
        if gain.is_proven:
            # Nothing is known of how far its level may be off, so it is that of the clicks.
            level = own_level(Correction(weights=weights).logit(inputs), clicked)
            return replace(made, level=level, weights=weights, gain=gain, reason=reason)
    return replace(made, reason=reason)

"""Whether a change of predictions is proven to be for the better."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.models.elementary import log_losses

Floats = npt.NDArray[np.float64]

_STANDARD_ERRORS = 2.0
# A rate of 0 or 1 would be infinitely sure of itself.
_LEAST_RATE = 1e-6


@dataclass(frozen=True)
class Gain:
    """What a change gains in log loss on rows that had no part in it.

    Attributes
    ----------
    nats : float
        Summed over the rows.
    standard_error : float
        Of that sum, the rows of a user taken together.
    """

    nats: float
    standard_error: float

    @property
    def is_proven(self) -> bool:
        """Whether it is more than two standard errors above nothing."""
        return self.nats > _STANDARD_ERRORS * self.standard_error > 0.0

    @property
    def is_disproven(self) -> bool:
        """Whether it is more than two standard errors below nothing."""
        return self.nats < -_STANDARD_ERRORS * self.standard_error < 0.0

    def __str__(self) -> str:
        return f"{self.nats:.1f} +- {self.standard_error:.1f} nats"


def later_half(day: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Whether each row is of the later half of the days, shape (n,); of a single day none is.

    What is fitted on the earlier half and gains on the later would have gained as it is used: on
    days to come, where a market has moved on.
    """
    days = np.unique(day)
    return np.asarray(
        day >= days[(len(days) + 1) // 2] if len(days) > 1 else day > day.max(initial=0)
    )


def gain_of(
    before: Floats, after: Floats, clicked: npt.NDArray[np.bool_], user: npt.NDArray[np.int64]
) -> Gain:
    """Gain of logits over others on the same rows, shape (n,) each."""
    labels = np.ascontiguousarray(clicked, dtype=np.uint8)
    difference = log_losses(before, labels) - log_losses(after, labels)
    _, owner = np.unique(user, return_inverse=True)
    by_user = np.bincount(owner, difference)
    return Gain(math.fsum(by_user.tolist()), math.sqrt(float(np.add.reduce(by_user**2))))


def gain_over_rates(
    logit: Floats, rows: pa.Table, clicked: npt.NDArray[np.bool_], user: npt.NDArray[np.int64]
) -> Gain:
    """Gain of logits over the smoothed click rates that were known before each row's day.

    Parameters
    ----------
    rows : pyarrow.Table
        With the column p_baseline; shape (n,) like the others.
    """
    rates = np.clip(rows["p_baseline"].to_numpy(), _LEAST_RATE, 1.0 - _LEAST_RATE)
    return gain_of(np.log(rates) - np.log1p(-rates), logit, clicked, user)

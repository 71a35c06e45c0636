"""Evidence, gathered day by day, that promised clicks are off by more than a tolerance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

TILTS = (-0.1, -0.05, -0.02, -0.01, 0.01, 0.02, 0.05, 0.1)
"""Alternatives that are watched for: rates off by about these shares beyond the tolerance."""
# An alarm at a mean of 1,000 needs at most this of one tilt of one group among `n`, times n. More
# is not kept, so that evidence fades within days once promises hold again.
_MOST = math.log(2_000.0)


@dataclass(frozen=True)
class Evidence:
    """Logarithms of the evidence of every group, one per tilt."""

    logs: Mapping[str, tuple[float, ...]]

    @classmethod
    def read(cls, state: str) -> Evidence:
        """Read what `written` wrote."""
        return cls({group: tuple(values) for group, values in json.loads(state).items()})

    @property
    def written(self) -> str:
        """As JSON, exact."""
        return json.dumps(dict(sorted(self.logs.items())))

    @property
    def total(self) -> float:
        """Decimal logarithm of the mean over groups and tilts; 0 at least."""
        if not self.logs:
            return 0.0
        values = np.array([self.logs[group] for group in sorted(self.logs)])
        return max(0.0, float(logsumexp(values) - math.log(values.size)) / math.log(10.0))

    @property
    def strongest(self) -> str:
        """The group with most of it; empty where there is none."""
        return max(sorted(self.logs), key=lambda group: max(self.logs[group]), default="")

    def add(
        self,
        clicks: Mapping[str, float],
        promised: Mapping[str, float],
        *,
        tolerance: float,
        dispersion: float,
    ) -> Evidence:
        """Evidence after a day more: M = e (M of the day before + 1).

        e = exp((l O - (exp(l) - 1) (1 + d) E) / f) for tilts l > 0, with 1 - d for l < 0: its mean
        is at most 1 while clicks O are promised to within the tolerance d, for counts whose
        variance is f times their mean (Shin, Ramdas and Rinaldo 2024).
        """
        tilt: NDArray[np.float64] = np.array(TILTS)
        allowed = 1.0 + np.sign(tilt) * tolerance
        made = dict(self.logs)
        most = _MOST + math.log(len(TILTS) * len({*made, *promised}))
        for group, expected in promised.items():
            observed = float(clicks.get(group, 0.0))
            e_log = (tilt * observed - np.expm1(tilt) * allowed * expected) / dispersion
            before = np.array(self.logs.get(group, (-math.inf,) * len(TILTS)))
            # Never to minus infinity, which JSON does not know.
            gathered = np.clip(e_log + np.logaddexp(before, 0.0), -most, most)
            made[group] = tuple(float(value) for value in gathered)
        return Evidence(made)

"""Smoothed click rates relative to what positions alone would give.

ratio = (clicks + m * parent) / (expected clicks + m), with the parent's own smoothed ratio: listing
<- shop <- category <- 1. Expected clicks are sums of the click rates of the positions shown at
(clicks over expected clicks, after Zhang and Jones 2007, *Comparing Click Logs and Editorial Labels
for Training Query Rewriting*), so a listing shown on top is not better for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.days import day_numbers

Floats = npt.NDArray[np.float64]

PARENTS = {"listing": "shop", "shop": "category", "category": None, "query": None, "user": None}
RATE_SURFACES = ("search", "promoted", "both")
DEFAULT_STRENGTH = 10.0


def column(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.int64]:
    """A bigint column, null as 0."""
    values = batch.column(name)
    filled = values.fill_null(0) if values.null_count else values
    return np.asarray(filled.to_numpy(zero_copy_only=False), dtype=np.int64)


@dataclass
class Rates:
    """Ratios of the rows of one batch, each computed once.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Columns ``<entity>_<surface>_impressions``, ``_clicks``, ``_expected_micro`` and ``ds``.
    strengths : mapping
        (day number since 1970, entity type, surface) to prior strength m in expected clicks.
    """

    batch: pa.RecordBatch
    strengths: Mapping[tuple[int, str, str], float]
    _known: dict[tuple[str, str], Floats] = field(default_factory=dict)

    def sums(self, entity: str, surface: str, what: str) -> npt.NDArray[np.int64]:
        """Window sums of `impressions`, `clicks` or `expected_micro`, shape (n,)."""
        if surface == "both":
            return self.sums(entity, "search", what) + self.sums(entity, "promoted", what)
        return column(self.batch, f"{entity}_{surface}_{what}")

    def ratio(self, entity: str, surface: str) -> Floats:
        """Smoothed clicks over expected clicks, shape (n,); 1 is what the positions give."""
        key = (entity, surface)
        if key not in self._known:
            parent = PARENTS[entity]
            prior = self.ratio(parent, surface) if parent else 1.0
            strength = self.strength(entity, surface)
            clicks = self.sums(entity, surface, "clicks")
            expected = self.sums(entity, surface, "expected_micro") / 1e6
            self._known[key] = (clicks + strength * prior) / (expected + strength)
        return self._known[key]

    def strength(self, entity: str, surface: str) -> Floats:
        """Prior strength of each row's day, shape (n,)."""
        days = day_numbers(self.batch.column("ds"))
        kinds, where = np.unique(days, return_inverse=True)
        values = [
            self.strengths.get((int(day), entity, surface), DEFAULT_STRENGTH) for day in kinds
        ]
        return np.asarray(values, dtype=np.float64)[where]

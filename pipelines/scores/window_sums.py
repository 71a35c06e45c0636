"""Window sums and prior strengths on the driver, for explaining one listing.

The same integers as `pipelines.features.history_spark` gives, from the same counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.history_spark import RATE_SURFACES, SURFACES, strengths

_WHAT = (
    ("impressions", "impressions"),
    ("clicks", "clicks"),
    ("expected_micro", "expected_clicks_micro"),
)
Sums = dict[tuple[str, str], dict[str, int]]


def window_sums(counts: pa.Table, ds: date, *, search_days: int, promoted_days: int) -> Sums:
    """Sum the counts of the windows that end with `ds`.

    Parameters
    ----------
    counts : pyarrow.Table
        Columns of `entity_counts`.

    Returns
    -------
    dict
        (entity type, entity id) to ``<surface>_<what>`` sums; an entity with no count in its
        windows has zeros.
    """
    first = {
        "search": ds - timedelta(days=search_days - 1),
        "promoted": ds - timedelta(days=promoted_days - 1),
    }
    keys = ["entity_type", "entity_id"]
    zeros = {f"{surface}_{what}": 0 for surface in SURFACES for what, _ in _WHAT}
    sums: Sums = {
        (row["entity_type"], row["entity_id"]): dict(zeros)
        for row in counts.group_by(keys).aggregate([]).to_pylist()
    }
    for surface in SURFACES:
        inside = pc.and_(
            pc.equal(counts["surface"], surface), pc.greater_equal(counts["ds"], first[surface])
        )
        asked = [(source, "sum") for _, source in _WHAT]
        for row in counts.filter(inside).group_by(keys).aggregate(asked).to_pylist():
            own = sums[row["entity_type"], row["entity_id"]]
            own |= {f"{surface}_{what}": row[f"{source}_sum"] for what, source in _WHAT}
    return sums


def prior_strengths(
    sums: Sums, *, min_strength: float, max_strength: float
) -> dict[tuple[str, str], float]:
    """Estimate the prior strength of each (entity type, rate surface) by moments."""
    found: dict[tuple[str, str], float] = {}
    for entity_type in sorted({kind for kind, _ in sums}):
        own = [values for (kind, _), values in sums.items() if kind == entity_type]
        row: dict[str, object] = {}
        for surface in RATE_SURFACES:
            parts = SURFACES if surface == "both" else (surface,)
            row |= {f"{surface}_{n}": v for n, v in _moments(own, parts).items()}
        for surface, value in strengths(
            row, min_strength=min_strength, max_strength=max_strength
        ).items():
            found[entity_type, surface] = value.strength
    return found


def _moments(own: Sequence[dict[str, int]], surfaces: Sequence[str]) -> dict[str, int]:
    clicks = np.array([sum(v[f"{s}_clicks"] for s in surfaces) for v in own], dtype=np.int64)
    expected = [sum(v[f"{s}_expected_micro"] for s in surfaces) for v in own]
    micro = np.array(expected, dtype=np.int64)
    # Python integers: the squares of a large day pass 64 bits.
    k, e = clicks.astype(object), np.floor(micro / 1000 + 0.5).astype(np.int64).astype(object)
    return {
        "entities": int((micro > 0).sum()),
        "k": int(k.sum()),
        "e": int(e.sum()),
        "kk": int((k * k).sum()),
        "ke": int((k * e).sum()),
        "ee": int((e * e).sum()),
    }

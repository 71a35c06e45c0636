"""Prior strengths: how strongly an entity is pulled to its parent's rate, by moments of a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.features.history import SURFACES, of_type
from pipelines.features.rates import RATE_SURFACES


@dataclass(frozen=True)
class Strength:
    """How strongly one kind of entity is pulled to its parent's rate, in expected clicks."""

    strength: float
    entities: int


Moments = dict[str, int]
"""Sums of one entity type that `strengths` needs, by ``<surface>_<name>``; they add up exactly."""


def moments(history: pa.Table) -> dict[str, Moments]:
    """The moments of each entity type of a day, or of a part of it.

    Expected clicks are taken in thousandths here, clicks as they are.

    Parameters
    ----------
    history : pyarrow.Table
        entity_type and `SUMS`.
    """
    by_entity: dict[str, Moments] = {}
    for entity in history["entity_type"].unique().to_pylist():
        of_entity = of_type(history, entity)
        by_entity[entity] = {}
        for surface in RATE_SURFACES:
            parts = SURFACES if surface == "both" else (surface,)
            clicks = sum(np.asarray(of_entity[f"{part}_clicks"]) for part in parts)
            micro = sum(np.asarray(of_entity[f"{part}_expected_micro"]) for part in parts)
            # Python's integers: the squares of a large day pass 64 bits.
            k = np.asarray(clicks).astype(object)
            e = ((np.asarray(micro) + 500) // 1000).astype(object)
            by_entity[entity] |= {
                f"{surface}_entities": int((np.asarray(micro) > 0).sum()),
                f"{surface}_k": int(k.sum()),
                f"{surface}_e": int(e.sum()),
                f"{surface}_kk": int((k * k).sum()),
                f"{surface}_ke": int((k * e).sum()),
                f"{surface}_ee": int((e * e).sum()),
            }
    return by_entity


def strengths(
    row: Mapping[str, int], *, min_strength: float, max_strength: float
) -> dict[str, Strength]:
    """Prior strength of one entity type by moments, per rate surface.

    Clicks are taken as Poisson with mean E * theta and theta as Gamma with mean c and variance
    tau^2, so that sum (k - c E)^2 - sum k estimates tau^2 sum E^2; the posterior mean of theta is
    (k + m c) / (E + m) with m = c / tau^2.

    Parameters
    ----------
    row : mapping
        The entity type's `moments`.

    Returns
    -------
    dict
        Strength by `search`, `promoted`, `both`; the geometric mean of the limits where there is
        nothing to estimate it from.
    """
    by_surface: dict[str, Strength] = {}
    for surface in RATE_SURFACES:
        k, e, kk, ke, ee = (
            float(row.get(f"{surface}_{name}", 0)) for name in ("k", "e", "kk", "ke", "ee")
        )
        e, ke, ee = e / 1e3, ke / 1e3, ee / 1e6
        entities = row.get(f"{surface}_entities", 0)
        strength = (min_strength * max_strength) ** 0.5
        if k > 0 and e > 0 and ee > 0:
            c = k / e
            excess = kk - 2 * c * ke + c * c * ee - k
            strength = c * ee / excess if excess > 0 else max_strength
        by_surface[surface] = Strength(min(max(strength, min_strength), max_strength), entities)
    return by_surface

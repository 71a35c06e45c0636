"""Namespaces that join the joint model as days bring them: a state and rows in a wider order.

A namespace is known by its name. Those that a day does not bring stay as they are; a new one begins
at its registered prior, as it would have on the first day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.id_rows import packed, unpacked
from pipelines.features.ids import NONE
from pipelines.models.contents import Contents
from pipelines.models.joint_state import JointSpec, JointState, Posterior

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def places_of(names: Sequence[str], among: Sequence[str]) -> npt.NDArray[np.int64]:
    """Where names are among others, shape (len(names),).

    Raises
    ------
    ValueError
        One is not among them, or their order differs.
    """
    order = {name: number for number, name in enumerate(among)}
    missing = sorted(set(names) - set(order))
    if missing:
        raise ValueError(f"namespaces that are not registered: {', '.join(missing)}")
    places = np.array([order[name] for name in names], dtype=np.int64)
    if np.any(np.diff(places) <= 0):
        raise ValueError("namespaces are in another order")
    return places


def spread(rows: Ids, places: npt.NDArray[np.int64], width: int) -> Ids:
    """Rows with their columns at places of wider rows, shape (n, width); `NONE` elsewhere."""
    if len(places) == width:
        return rows
    wide = np.full((len(rows), width), NONE, dtype=np.int64)
    wide[:, places] = rows
    return wide


def widened(
    lists: pa.ListArray | pa.ChunkedArray, places: npt.NDArray[np.int64], width: int
) -> pa.ListArray | pa.ChunkedArray:
    """`spread` for packed rows, of which some may be null."""
    if len(places) == width:
        return lists
    valid = np.asarray(lists.is_valid())
    rows = packed(spread(unpacked(lists.drop_null(), len(places)), places, width))
    at = np.cumsum(valid) - 1
    return rows.take(pa.array(np.maximum(at, 0), mask=~valid))


def with_kinds(contents: Contents, places: npt.NDArray[np.int64]) -> Contents:
    """Contents whose kinds have other numbers."""
    return replace(contents, kinds=places[contents.kinds].astype(np.int16))


def grown(state: JointState, before: JointSpec, after: JointSpec) -> JointState:
    """The state of a model that has more namespaces, in the order of the new ones.

    Raises
    ------
    ValueError
        The new model lacks one of the old, or has them in another order.
    """
    if before == after:
        return state
    rows = places_of([row.name for row in before.rows], [row.name for row in after.rows])
    kinds = places_of([kind.name for kind in before.kinds], [kind.name for kind in after.kinds])
    return replace(
        state,
        namespace=rows[state.namespace].astype(np.int16),
        content_kind=kinds[state.content_kind].astype(np.int16),
        posteriors=tuple(
            _grown(posterior, rows, kinds, scale, after)
            for posterior, scale in zip(state.posteriors, after.scales, strict=True)
        ),
        contents={
            name: with_kinds(state.contents[name], kinds)
            if name in state.contents
            else Contents.none()
            for name in after.entities
        },
    )


def _grown(
    posterior: Posterior,
    rows: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.int64],
    scale: float,
    after: JointSpec,
) -> Posterior:
    variance, content = after.first_variance(scale), after.first_content_variance(scale)
    variance[rows], content[kinds] = posterior.variance, posterior.content_variance
    return replace(posterior, variance=variance, content_variance=content)

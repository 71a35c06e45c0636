"""What each namespace of the joint model is worth, and whether ids of its values collide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.ids import value_ids
from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_registry import JointRegistry
from pipelines.models.contents import Contents
from pipelines.models.joint import JointModel
from pipelines.models.numbering import Numbering

Floats = npt.NDArray[np.float64]
Index = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Figures:
    """Figures of a namespace over rows, or of a content over entities.

    Attributes
    ----------
    coverage : float
        Share that has a value.
    values : int
        Distinct values.
    share : float
        Covariance of what it adds with the logit, over the variance of the logit: those of all
        namespaces of rows add up to 1, and those of contents are a part of their entity's.
    """

    coverage: float
    values: int
    share: float


def row_figures(model: JointModel, index: Index, scale: int) -> list[Figures]:
    """Figures of every column of rows, in their order.

    Parameters
    ----------
    index : numpy.ndarray of int32, shape (n, K)
        As of `JointModel.index`.
    """
    mean = np.append(model.means(scale), 0.0)
    centred = _centred(model.sums(index, mean))
    return [
        Figures(
            float(np.mean(own >= 0)) if len(own) else 0.0,
            len(np.unique(own[own >= 0])),
            _share(mean[own], centred),
        )
        for own in index.T
    ]


def content_figures(
    model: JointModel, index: Index, held: Contents, entity: int, scale: int
) -> dict[int, Figures]:
    """Figures by kind of the contents of an entity, over the day's entities and rows.

    Parameters
    ----------
    held : Contents
        Of the day's entities.
    entity : int
        Column of rows that holds the entity.
    """
    centred = _centred(model.sums(index, model.means(scale)))
    state = model.state
    known = Numbering(state.content_ids).find(held.parts)
    weight = np.append(state.posteriors[scale].beta, 0.0)[known]
    owner = np.repeat(np.arange(len(held)), np.diff(held.offsets))
    # The last place is that of no entity, and of what no entity holds.
    at = np.append(Numbering(held.ids).find(model.ids), -1)[index[:, entity]]
    found = {}
    for kind in np.unique(held.kinds).tolist():
        own = held.kinds == kind
        added = np.bincount(owner[own], (weight * held.values)[own], minlength=len(held) + 1)
        found[kind] = Figures(
            len(np.unique(owner[own])) / len(held),
            len(np.unique(held.parts[own])),
            _share(added[at].astype(np.float64), centred),
        )
    return found


def _centred(values: Floats) -> Floats:
    return values - values.mean() if len(values) else values


def _share(added: Floats, centred: Floats) -> float:
    total = float(centred @ centred)
    return float(_centred(added) @ centred) / total if total > 0.0 else 0.0


def text_collisions(namespace: JointNamespace, rows: pa.RecordBatch) -> int | None:
    """How many of the values that rows bring have the id of another one; None for no values.

    Parameters
    ----------
    rows : pyarrow.RecordBatch
        Impressions, or listings: whatever the scope reads.
    """
    known = {name.partition(".")[0] for name in namespace.inputs} <= set(rows.schema.names)
    if namespace.encoding not in ENCODINGS or not known:
        return None
    labels = ENCODINGS[namespace.encoding](Batch(rows, {}), namespace.inputs).labels
    return len(labels) - len(np.unique(value_ids(namespace.name, labels)))


def cross_collisions(registry: JointRegistry, index: Index) -> dict[str, int]:
    """By cross whose parts are columns: how many combinations have the id of another one."""
    found = {}
    for number, column in enumerate(registry.columns):
        parts = [registry.column_number(part) for part in column.parts]
        if parts and min(parts) >= 0:
            found[column.name] = _combinations([index[:, part] for part in parts]) - len(
                np.unique(index[index[:, number] >= 0, number])
            )
    return found


def _combinations(parts: Sequence[Index]) -> int:
    """Distinct combinations of numbers, those with -1 left out."""
    whole = np.logical_and.reduce([part >= 0 for part in parts])
    codes = np.zeros(int(np.count_nonzero(whole)), dtype=np.int64)
    for part in parts:
        own = part[whole].astype(np.int64)
        _, codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    return len(np.unique(codes))


def shared_ids(ids: npt.NDArray[np.int64]) -> int:
    """How many coordinates have the id of another one, of whatever namespace."""
    return len(ids) - len(np.unique(ids))

"""Names behind the ids of one listing's joint score: its values, and what its content says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.ids import value_ids
from pipelines.features.joint_dense import dense_values
from pipelines.features.joint_namespace import DENSE, ROW, JointNamespace
from pipelines.features.joint_registry import JointRegistry
from pipelines.models.joint_tables import CONTENT
from pipelines.scores.joint_scoring import JointWeights

_SEPARATOR = " x "


@dataclass(frozen=True)
class NamedWeight:
    """What a named value adds to a logit, and how well that is known."""

    namespace: str
    value: str
    weight: float
    standard_error: float


@dataclass(frozen=True)
class JointNames:
    """Of one listing.

    Attributes
    ----------
    values : mapping of str to str
        By column of rows, what stands behind its id at the reference context.
    contents : tuple of NamedWeight
        What the listing is made of: the sum is what its content says of it.
    """

    values: Mapping[str, str]
    contents: tuple[NamedWeight, ...] = ()


def joint_names(
    row: pa.RecordBatch,
    registry: JointRegistry,
    weights: JointWeights,
    reference: Mapping[str, str],
    listing: str = "listing",
) -> JointNames:
    """Name the values of a listing.

    Parameters
    ----------
    row : pyarrow.RecordBatch
        One listing with ds and the columns of `joint_inputs`.
    reference : mapping of str to str
        As of `reference_values`.
    """
    columns = Batch(row, {})
    values: dict[str, str] = {}
    for namespace in registry.namespaces:
        if namespace.of != ROW:
            continue
        if namespace.scope == "listing":
            own = _labels(columns, namespace)
            values |= {namespace.name: own[0]} if own else {}
        elif namespace.name in reference:
            values[namespace.name] = reference[namespace.name]
        elif namespace.scope == "cross":
            values |= _joined(values, namespace.name, namespace.inputs)
    for column in registry.columns:
        if column.name not in values and column.parts:
            values |= _joined(values, column.name, column.parts)
    contents = [
        named
        for content in registry.contents_of(listing)
        for named in _contents(columns, content, weights)
    ]
    return JointNames(values, tuple(contents))


def _joined(values: Mapping[str, str], name: str, parts: tuple[str, ...]) -> dict[str, str]:
    if not all(part in values for part in parts):
        return {}
    return {name: _SEPARATOR.join(values[part] for part in parts)}


def _labels(columns: Batch, namespace: JointNamespace) -> list[str]:
    """Distinct labels of the one row, in order."""
    tokens = ENCODINGS[namespace.encoding](columns, namespace.inputs)
    if tokens.offsets is None and tokens.valid is not None and not tokens.valid[0]:
        return []
    return list(dict.fromkeys(tokens.labels[int(code)].as_py() for code in tokens.codes))


def _contents(columns: Batch, content: JointNamespace, weights: JointWeights) -> list[NamedWeight]:
    if content.encoding == DENSE:
        dense = dense_values(content.name, columns.column(content.inputs[0]))
        if not len(dense.values):
            return []
        found = weights.values(CONTENT, content.name, dense.ids)
        size = dense.values.astype(np.float64)
        added, error = float(found.weight @ size), float(np.sqrt(found.variance @ size**2))
        return [NamedWeight(content.name, f"{len(size)} numbers", added, error)]
    labels = _labels(columns, content)
    found = weights.values(
        CONTENT, content.name, value_ids(content.name, pa.array(labels, pa.string()))
    )
    return [
        NamedWeight(content.name, label, float(weight), float(np.sqrt(variance)))
        for label, weight, variance in zip(labels, found.weight, found.variance, strict=True)
    ]

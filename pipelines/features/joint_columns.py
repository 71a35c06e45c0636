"""All columns of the joint model's rows, from the values that rows are stored with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.id_rows import unpacked
from pipelines.features.ids import NONE, cross_ids, value_id
from pipelines.features.joint_namespace import CROSS, ROW, USUAL, JointNamespace
from pipelines.features.joint_registry import JointRegistry

Ids = npt.NDArray[np.int64]

MISSING = "missing"
"""The value of a namespace that says that another one is missing."""


def stored_namespaces(registry: JointRegistry) -> list[JointNamespace]:
    """The namespaces whose values rows are stored with: all others follow from them."""
    return [
        n for n in registry.namespaces if n.of == ROW and not (n.scope == CROSS or _is_usual(n))
    ]


def all_columns(registry: JointRegistry, stored: Ids) -> Ids:
    """Rows with crosses, and with what says that a value is missing.

    Parameters
    ----------
    stored : numpy.ndarray of int64, shape (n, S)
        Ids of the values of `stored_namespaces`, in their order; `NONE` for none.

    Returns
    -------
    numpy.ndarray of int64, shape (n, K)
        One column for each of the registry's. What is usual is filled in by the model, which knows
        what was the day before.
    """
    found = {
        namespace.name: np.ascontiguousarray(stored[:, number])
        for number, namespace in enumerate(stored_namespaces(registry))
    }
    for namespace in registry.namespaces:
        if namespace.of == ROW and namespace.name not in found:
            if _is_usual(namespace):
                found[namespace.name] = np.full(len(stored), NONE, dtype=np.int64)
            else:
                parts = [found[name] for name in namespace.inputs]
                found[namespace.name] = cross_ids(namespace.name, parts)
    rows = np.empty((len(stored), len(registry.columns)), dtype=np.int64)
    for number, column in enumerate(registry.columns):
        if column.missing:
            absent = value_id(column.name, MISSING)
            rows[:, number] = np.where(found[column.missing] == NONE, absent, NONE)
        elif column.name in found:
            rows[:, number] = found[column.name]
        else:
            rows[:, number] = cross_ids(column.name, [found[part] for part in column.parts])
    return rows


def row_columns(registry: JointRegistry, ids: pa.ListArray | pa.ChunkedArray) -> Ids:
    """`all_columns` of the column `ids` of `joint_rows`."""
    return all_columns(registry, unpacked(ids, len(stored_namespaces(registry))))


def _is_usual(namespace: JointNamespace) -> bool:
    return namespace.encoding == USUAL

"""The reference context of the joint model: at what request a listing is scored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import numpy as np
import numpy.typing as npt

from pipelines.features.ids import NONE, cross_ids, value_id
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import ListingIds

Ids = npt.NDArray[np.int64]

_SATURDAY = 6


def reference_values(
    registry: JointRegistry,
    names: Iterable[Mapping[str, object]],
    given: Mapping[str, str],
    day: date,
) -> dict[str, str]:
    """Values of the request's namespaces at the reference context; those without one are left out.

    A value given by configuration wins; calendar values are those of `day`, when scores serve;
    users, queries and what is said of them are at their prior, neither known nor unknown; of the
    others the most frequent value, ties by value.

    Parameters
    ----------
    names : iterable of mappings
        Rows of `feature_names` of context scope.
    """
    counts: dict[str, list[tuple[int, str]]] = {}
    for row in names:
        pair = (-int(str(row["rows"])), str(row["value"]))
        counts.setdefault(str(row["namespace"]), []).append(pair)
    values = {
        "constant": "1",
        "weekday": str(day.isoweekday()),
        "weekend": str(int(day.isoweekday() >= _SATURDAY)),
    }
    found: dict[str, str] = {}
    for namespace in registry.of_scope("request"):
        name = namespace.name
        value = given.get(name, values.get(namespace.encoding))
        if value is None and not namespace.unknown and name in counts:
            value = min(counts[name])[1]
        if value is not None:
            found[name] = value
    return found


def reference_ids(
    registry: JointRegistry,
    names: Iterable[Mapping[str, object]],
    given: Mapping[str, str],
    day: date,
) -> dict[str, int]:
    """Ids of `reference_values` by namespace of request scope; `NONE` where there is no value."""
    values = reference_values(registry, names, given, day)
    return {
        n.name: value_id(n.name, values[n.name]) if n.name in values else NONE
        for n in registry.of_scope("request")
    }


def reference_rows(
    registry: JointRegistry, listings: ListingIds, reference: Mapping[str, int]
) -> Ids:
    """Rows of listings at the reference context.

    Returns
    -------
    numpy.ndarray of int64, shape (m, K)
    """
    size = len(listings.words)
    found: dict[str, Ids] = {}
    for namespace in registry.namespaces:
        name = namespace.name
        if namespace.of != "row":
            continue
        if namespace.scope == "listing":
            found[name] = listings.ids[name]
        elif namespace.scope == "cross":
            found[name] = cross_ids(name, [found[part] for part in namespace.inputs])
        else:
            found[name] = np.full(size, reference.get(name, NONE), dtype=np.int64)
    rows = np.empty((size, len(registry.columns)), dtype=np.int64)
    for number, column in enumerate(registry.columns):
        if column.missing:
            rows[:, number] = NONE
        elif column.name in found:
            rows[:, number] = found[column.name]
        else:
            rows[:, number] = cross_ids(column.name, [found[part] for part in column.parts])
    return rows

"""The registry of a day: what its patterns stand for, and the values that its requests bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipelines.features.joint_dense import Lengths, usual_length
from pipelines.features.joint_patterns import (
    AttributeCounts,
    AttributeLimits,
    Attributes,
    Keys,
    day_attributes,
    pattern_of,
)
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import ValueCounts

SCOPES = ("request", "listing")
"""Scopes whose rows have attributes."""


def attributes_of_day(
    registry: JointRegistry, counts: Mapping[str, AttributeCounts], limits: AttributeLimits
) -> dict[str, Attributes]:
    """By scope, the attributes that patterns take of a day: by its own rows alone.

    Parameters
    ----------
    counts : mapping of str to AttributeCounts
        By scope, of all valid impressions of the day, and of its listings.
    """
    return {
        scope: day_attributes(registry.registered, scope, counts[scope], limits) for scope in SCOPES
    }


def namespace_rows(
    registry: JointRegistry,
    attributes: Mapping[str, Attributes],
    values: Mapping[str, list[str]],
    vectors_left_out: Mapping[str, str],
) -> list[dict[str, object]]:
    """Rows of `joint_namespaces` of a day, without ds.

    Parameters
    ----------
    registry : JointRegistry
        Of the day.
    attributes : mapping of str to Attributes
        As of `attributes_of_day`.
    values : mapping of str to list of str
        As of `by_rows` of the day's request values.
    vectors_left_out : mapping of str to str
        As of `vectors_left_out`.
    """
    rows: list[dict[str, object]] = [
        {
            "namespace": n.name,
            "scope": n.scope,
            "of": n.of,
            "kind": n.kind,
            "inputs": list(n.inputs),
            "attribute": n.attribute or None,
            "left_out": vectors_left_out.get(n.name),
            "values": values.get(n.name),
        }
        for n in registry.namespaces
    ]
    for scope, found in attributes.items():
        pattern = pattern_of(registry.registered, scope)
        if pattern is None:
            continue
        for key, reason in found.left_out.items():
            rows.append(
                {
                    "namespace": pattern.prefix + key,
                    "scope": scope,
                    "of": pattern.of,
                    "kind": pattern.kind,
                    "inputs": [f"attributes.{key}"],
                    "attribute": key,
                    "left_out": reason,
                    "values": None,
                }
            )
    return rows


def vectors_left_out(lengths: Mapping[str, Lengths]) -> dict[str, str]:
    """What is left out of dense namespaces, by their names.

    Parameters
    ----------
    lengths : mapping of str to mapping
        `vector_lengths` of all listings of the day by namespace.
    """
    told: dict[str, str] = {}
    for name, own in lengths.items():
        usual = usual_length(own)
        refused = sum(rows for length, rows in own.items() if length != usual)
        if refused:
            told[name] = f"{refused} listings: their vector has another length than {usual}"
    return told


def by_rows(counts: Iterable[ValueCounts]) -> dict[str, list[str]]:
    """Values by namespace, by rows and then by name, from the counts of parts of a day."""
    added: dict[str, dict[str, int]] = {}
    for part in counts:
        for name, own in part.items():
            of_name = added.setdefault(name, {})
            for value, rows in own.items():
                of_name[value] = of_name.get(value, 0) + rows
    return {
        name: sorted((v for v in own if own[v]), key=lambda v: (-own[v], v))
        for name, own in added.items()
    }


def stored_keys(rows: Iterable[Mapping[str, object]]) -> Keys:
    """By scope, the attributes that patterns took, from rows of `joint_namespaces`."""
    keys: dict[str, list[str]] = {}
    for row in rows:
        if row["attribute"] is not None and row["left_out"] is None:
            keys.setdefault(str(row["scope"]), []).append(str(row["attribute"]))
    return keys


def value_names(rows: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    """namespace and value of all values in rows of `joint_namespaces`."""
    return [
        {"namespace": row["namespace"], "value": value}
        for row in rows
        for value in (row["values"] or ())  # type: ignore[attr-defined]
    ]

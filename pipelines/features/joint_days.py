"""The registry of a day: what its patterns stand for, and the values that its requests bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from pipelines.features.joint_dense import dense_values
from pipelines.features.joint_namespace import DENSE, JointNamespace
from pipelines.features.joint_patterns import (
    AttributeLimits,
    Attributes,
    Keys,
    day_attributes,
    pattern_of,
)
from pipelines.features.joint_registry import JointRegistry

SCOPES = ("request", "listing")
"""Scopes whose rows have attributes."""


def attributes_of_day(
    registry: JointRegistry, traffic: pa.Table, snapshot: pa.Table, limits: AttributeLimits
) -> dict[str, Attributes]:
    """By scope, the attributes that patterns take of a day: by its own rows alone.

    Parameters
    ----------
    traffic : pyarrow.Table
        Valid rows of `labeled_impressions` of the day.
    snapshot : pyarrow.Table
        All listings of the day.
    """
    rows = {"request": traffic, "listing": snapshot}
    return {
        scope: day_attributes(registry.registered, scope, rows[scope]["attributes"], limits)
        for scope in SCOPES
    }


def namespace_rows(
    registry: JointRegistry,
    attributes: Mapping[str, Attributes],
    values: Mapping[str, list[str]],
    snapshot: pa.Table,
) -> list[dict[str, object]]:
    """Rows of `joint_namespaces` of a day, without ds.

    Parameters
    ----------
    registry : JointRegistry
        Of the day.
    attributes : mapping of str to Attributes
        As of `attributes_of_day`.
    values : mapping of str to list of str
        As of `JointAssembler.request_values`.
    snapshot : pyarrow.Table
        All listings of the day.
    """
    rows: list[dict[str, object]] = [
        {
            "namespace": n.name,
            "scope": n.scope,
            "of": n.of,
            "kind": n.kind,
            "inputs": list(n.inputs),
            "attribute": n.attribute or None,
            "left_out": _vectors_left_out(n, snapshot),
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


def _vectors_left_out(namespace: JointNamespace, snapshot: pa.Table) -> str | None:
    if namespace.encoding != DENSE:
        return None
    found = dense_values(namespace.name, snapshot[namespace.inputs[0]].combine_chunks())
    if not found.refused:
        return None
    return f"{found.refused} listings: their vector has another length than {len(found.ids)}"


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

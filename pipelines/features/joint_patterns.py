"""A user's own attributes as namespaces of the joint model, by rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.joint_namespace import JointNamespace

_LONGEST_KEY = 100

Keys = Mapping[str, Collection[str]]
"""Attributes by scope, `request` or `listing`."""


@dataclass(frozen=True)
class AttributeLimits:
    """What a pattern takes of a day.

    Attributes
    ----------
    most : int
        Attributes a scope: the most frequent ones, of equals the first by name.
    most_values : int
        Distinct values of one: what has more is an id or a number, to be registered as such.
    """

    most: int
    most_values: int


@dataclass(frozen=True)
class Attributes:
    """The attributes of a day that a pattern takes, and why it leaves others out."""

    taken: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def expanded(namespaces: Sequence[JointNamespace], keys: Keys) -> list[JointNamespace]:
    """Put in place of each pattern one namespace an attribute, by name."""
    made: list[JointNamespace] = []
    for namespace in namespaces:
        if not namespace.is_pattern:
            made.append(namespace)
            continue
        for key in sorted(set(keys.get(namespace.scope, ()))):
            name, inputs = namespace.prefix + key, (f"attributes.{key}",)
            made.append(replace(namespace, name=name, inputs=inputs, attribute=key))
    return made


def keys_of(namespaces: Sequence[JointNamespace], names: Iterable[str]) -> dict[str, set[str]]:
    """By scope, the attributes that stand behind the names of namespaces."""
    known = list(names)
    found: dict[str, set[str]] = {}
    for pattern in namespaces:
        if pattern.is_pattern:
            own = {name for name in known if name.startswith(pattern.prefix)}
            found[pattern.scope] = {name.removeprefix(pattern.prefix) for name in own}
    return found


def both_keys(one: Keys, other: Keys) -> dict[str, set[str]]:
    """By scope, the attributes of either."""
    return {scope: {*one.get(scope, ()), *other.get(scope, ())} for scope in {*one, *other}}


def pattern_of(namespaces: Sequence[JointNamespace], scope: str) -> JointNamespace | None:
    """The pattern of a scope, if there is one."""
    return next((n for n in namespaces if n.is_pattern and n.scope == scope), None)


AttributeCounts = Mapping[str, tuple[int, Collection[str]]]
"""Rows and distinct values of each attribute; where it has too many values, enough to tell."""


def count_attributes(
    namespaces: Sequence[JointNamespace],
    scope: str,
    attributes: pa.ChunkedArray,
    limits: AttributeLimits,
) -> AttributeCounts:
    """Count the attributes of any rows of a day that the pattern of a scope may take.

    Parameters
    ----------
    namespaces : sequence of JointNamespace
        As registered, patterns included.
    attributes : pyarrow.ChunkedArray
        Map of string to string of each row: valid impressions, or listings of the snapshot.
    """
    maps = attributes.combine_chunks()
    if pattern_of(namespaces, scope) is None or not pa.types.is_map(maps.type):
        return {}
    given = maps.drop_null()
    start, stop = (given.offsets[k].as_py() for k in (0, -1)) if len(given) else (0, 0)
    keys = given.keys.slice(start, stop - start).cast(pa.string()).dictionary_encode()
    items = given.items.slice(start, stop - start).cast(pa.string()).dictionary_encode()
    has_item = ~np.asarray(items.is_null())
    codes = keys.indices.to_numpy(zero_copy_only=False)[has_item].astype(np.int64)
    values = pc.fill_null(items.indices, 0).to_numpy(zero_copy_only=False)[has_item]
    size = max(len(items.dictionary), 1)
    pairs = np.unique(codes * size + values)
    rows = np.bincount(codes, minlength=len(keys.dictionary))
    ends = np.searchsorted(pairs // size, np.arange(len(keys.dictionary) + 1))
    return {
        key: (
            int(rows[number]),
            items.dictionary.take(
                pa.array(pairs[ends[number] : ends[number + 1]][: limits.most_values + 1] % size)
            ).to_pylist(),
        )
        for number, key in enumerate(keys.dictionary.to_pylist())
        if rows[number]
    }


def add_attributes(parts: Iterable[AttributeCounts]) -> AttributeCounts:
    """The counts of all rows from those of their parts."""
    added: dict[str, tuple[int, set[str]]] = {}
    for part in parts:
        for key, (rows, values) in part.items():
            count, known = added.get(key, (0, set()))
            added[key] = (count + rows, known | set(values))
    return added


def day_attributes(
    namespaces: Sequence[JointNamespace],
    scope: str,
    counts: AttributeCounts,
    limits: AttributeLimits,
) -> Attributes:
    """Which attributes of a day's rows the pattern of a scope takes: by those rows alone.

    Parameters
    ----------
    counts : mapping
        As of `count_attributes` with the same limits, of all rows of the day.
    """
    if pattern_of(namespaces, scope) is None:
        return Attributes()
    own = [n for n in namespaces if n.scope == scope]
    registered = {name for n in own for name in n.inputs}
    taken: list[str] = []
    left_out: dict[str, str] = {}
    for key, (_, values) in sorted(counts.items(), key=lambda item: (-item[1][0], item[0])):
        if f"attributes.{key}" in registered:
            continue
        if not 0 < len(key) <= _LONGEST_KEY or "*" in key:
            left_out[key] = f"its name is empty, holds a * or more than {_LONGEST_KEY} characters"
        elif len(values) > limits.most_values:
            left_out[key] = (
                f"more than {limits.most_values} values: register it by itself, "
                "as an id or in bands"
            )
        elif len(taken) == limits.most:
            left_out[key] = f"{limits.most} others are more frequent"
        else:
            taken.append(key)
    return Attributes(tuple(sorted(taken)), left_out)

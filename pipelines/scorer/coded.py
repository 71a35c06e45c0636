"""Columns of rows as their distinct values and, for each row, which of them it has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.scorer.value_ids import Ints, cross_ids

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Labels(NamedTuple):
    """Distinct values or labels, and which of them each row has, shape (n,)."""

    values: list[Any]
    codes: Ints


class Ids(NamedTuple):
    """Distinct ids, and which of them each row has, shape (n,)."""

    values: Ints
    codes: Ints


def distinct(column: Sequence[Any] | npt.NDArray[Any]) -> Labels:
    """The distinct values of a column."""
    seen: dict[Any, int] = {}
    listed = column.tolist() if isinstance(column, np.ndarray) else column
    codes = [seen.setdefault(value, len(seen)) for value in listed]
    return Labels(list(seen), np.array(codes, dtype=np.int64))


def crossed(name: str, parts: Sequence[Ids]) -> Ids:
    """The cross of namespaces: of all their values where these are fewer than the rows."""
    rows = len(parts[0].codes)
    if math.prod(len(part.values) for part in parts) > rows:
        return Ids(cross_ids(name, [part.values[part.codes] for part in parts]), np.arange(rows))
    grid = np.meshgrid(*(part.values for part in parts), indexing="ij")
    codes = np.zeros(rows, dtype=np.int64)
    for part in parts:
        codes = codes * len(part.values) + part.codes
    return Ids(cross_ids(name, [np.ascontiguousarray(own).ravel() for own in grid]), codes)


def joined(parts: Sequence[Labels]) -> Labels:
    """Labels of several namespaces, joined by `|`; none where a part has none."""
    combined = np.zeros(len(parts[0].codes), dtype=np.int64)
    for part in parts:
        combined = combined * len(part.values) + part.codes
    kinds, codes = np.unique(combined, return_inverse=True)
    columns: list[list[Any]] = []
    for part in reversed(parts):
        kinds, own = np.divmod(kinds, len(part.values))
        columns.insert(0, [part.values[k] for k in own.tolist()])
    labels = [None if None in values else "|".join(values) for values in zip(*columns, strict=True)]
    return Labels(labels, codes)


def places(known: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> tuple[Ints, Flags]:
    """Where values are among ascending ones, shape (n,), and whether they are there."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def looked_up(
    known: npt.NDArray[Any], values: npt.NDArray[Any], wanted: npt.NDArray[Any], default: Any
) -> npt.NDArray[Any]:
    """Values by ascending key, shape (n,); the default of unknown keys."""
    if not len(known):
        return np.broadcast_to(default, len(wanted)).copy()
    at, is_known = places(known, wanted)
    return np.where(is_known, values[at], default)

"""Dense inputs of the joint model: numbers of listings, such as an image vector."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.ids import value_ids


@dataclass(frozen=True)
class DenseValues:
    """Numbers of n rows.

    Attributes
    ----------
    ids : numpy.ndarray of int64, shape (m,)
        One for each number of a row; those of vectors of another length are others.
    owner : numpy.ndarray of int64
        Rows that have numbers, ascending, each m times.
    values : numpy.ndarray of float32
        Of the same length; 0 for what is no number.
    """

    ids: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


Lengths = Mapping[int, int]
"""Rows by the length of their vector; those without one are left out."""


def vector_lengths(column: pa.Array | pa.ChunkedArray) -> dict[int, int]:
    """How many rows have a vector of each length; of a number, of length 1."""
    counted = np.unique(_lengths(column), return_counts=True)
    return {int(length): int(rows) for length, rows in zip(*counted, strict=True) if length}


def add_lengths(parts: Iterable[Lengths]) -> dict[int, int]:
    """The `vector_lengths` of all rows from those of their parts."""
    added: dict[int, int] = {}
    for part in parts:
        for length, rows in part.items():
            added[length] = added.get(length, 0) + rows
    return added


def usual_length(lengths: Lengths) -> int:
    """The length that counts: the most frequent one, of equals the shorter; 0 without vectors."""
    return min(lengths, key=lambda length: (-lengths[length], length), default=0)


def dense_values(name: str, column: pa.Array, length: int | None = None) -> DenseValues:
    """Numbers of a column of numbers, or of lists of them.

    Parameters
    ----------
    name : str
        The namespace.
    length : int, optional
        Vectors of another length do not count; by default the rows' own `usual_length`.
    """
    lengths = _lengths(column)
    if length is None:
        length = usual_length(vector_lengths(column))
    rows = np.flatnonzero(lengths == length) if length else np.empty(0, np.int64)
    taken = column.take(pa.array(rows))
    flat = pc.list_flatten(taken) if _is_list(column) else taken
    values = pc.fill_null(flat.cast(pa.float64(), safe=False), 0.0)
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float32)
    labels = pa.array([f"{k}/{length}" for k in range(length)], pa.string())
    return DenseValues(
        value_ids(name, labels),
        np.repeat(rows, length).astype(np.int64),
        np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0),
    )


def _is_list(column: pa.Array | pa.ChunkedArray) -> bool:
    return bool(pa.types.is_list(column.type) or pa.types.is_large_list(column.type))


def _lengths(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    if not _is_list(column):
        return np.asarray(column.is_valid()).astype(np.int64)
    lengths = pc.fill_null(pc.list_value_length(column), 0)
    return np.asarray(lengths).astype(np.int64)

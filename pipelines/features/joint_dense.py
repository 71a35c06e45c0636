"""Dense inputs of the joint model: numbers of listings, such as an image vector."""

from __future__ import annotations

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
    refused : int
        Rows whose vector has another length than most.
    """

    ids: npt.NDArray[np.int64]
    owner: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    refused: int = 0


def dense_values(name: str, column: pa.Array) -> DenseValues:
    """Numbers of a column of numbers, or of lists of them.

    Of vectors of several lengths the most frequent one counts, of equals the shorter.

    Parameters
    ----------
    name : str
        The namespace.
    """
    is_list = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
    if is_list:
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    else:
        lengths = np.asarray(column.is_valid()).astype(np.int64)
    given = lengths[lengths > 0]
    length = int(np.bincount(given).argmax()) if len(given) else 0
    rows = np.flatnonzero(lengths == length) if length else np.empty(0, np.int64)
    taken = column.take(pa.array(rows))
    flat = pc.list_flatten(taken) if is_list else taken
    values = pc.fill_null(flat.cast(pa.float64(), safe=False), 0.0)
    numbers = values.to_numpy(zero_copy_only=False).astype(np.float32)
    labels = pa.array([f"{k}/{length}" for k in range(length)], pa.string())
    return DenseValues(
        value_ids(name, labels),
        np.repeat(rows, length).astype(np.int64),
        np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0),
        int(np.count_nonzero(given != length)),
    )

"""Parts of a day: which rows of a large day are made together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int32]


def parts_of(rows: int, rows_a_part: int) -> int:
    """How many parts a day of so many rows has; at least one."""
    return max(1, -(-rows // rows_a_part))


def part_of(ids: pa.Array | pa.ChunkedArray, parts: int) -> Ints:
    """The part of each id: by its hash, so the same in every table and on every day.

    Parameters
    ----------
    ids : pyarrow.Array or pyarrow.ChunkedArray of string
        Without nulls.

    Returns
    -------
    numpy.ndarray of int32, shape (len(ids),)
        0 to parts - 1.
    """
    if parts == 1:
        return np.zeros(len(ids), np.int32)
    # Kernels take a second to load, and whoever only lists tables needs none.
    from pipelines.features.xxhash import xxhash64

    return (xxhash64(ids).view(np.uint64) % np.uint64(parts)).astype(np.int32)


def is_of_part(ids: pa.Array | pa.ChunkedArray, part: int, parts: int) -> pa.Array:
    """Whether each id is of a part."""
    return pa.array(part_of(ids, parts) == part)


def part_in_order(keys: npt.NDArray[np.int64], parts: int) -> Ints:
    """The part of each key where parts follow each other: all keys of one are below the next's.

    Parameters
    ----------
    keys : numpy.ndarray of int64
        Hashes, so that parts are about as large.
    """
    upper = (keys >> np.int64(32)) + np.int64(2**31)
    return ((upper * parts) >> np.int64(32)).astype(np.int32)

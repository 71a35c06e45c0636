"""Rows of ids as a list column, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ids = npt.NDArray[np.int64]


def packed(rows: Ids) -> pa.ListArray:
    """Rows of ids as lists."""
    offsets = np.arange(len(rows) + 1, dtype=np.int32) * np.int32(rows.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(rows.ravel()))


def unpacked(lists: pa.ListArray | pa.ChunkedArray, width: int) -> Ids:
    """What `packed` has packed, shape (n, width)."""
    array = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
    flat: Ids = array.flatten().to_numpy()
    return flat.reshape(len(array), width)


def sorted_rows(rows: pa.Table, key: str) -> pa.Table:
    """Rows by a column of numbers; lists that are `packed` quicker than by `Table.sort_by`."""
    whole = rows.combine_chunks()
    order = pa.array(np.argsort(np.asarray(whole[key]), kind="stable"))
    columns = [
        _taken(column.chunk(0), order) if column.num_chunks else column for column in whole.columns
    ]
    return pa.Table.from_arrays(columns, schema=whole.schema)


def _taken(array: pa.Array, order: pa.Array) -> pa.Array:
    if not pa.types.is_list(array.type) or array.null_count or not len(array):
        return array.take(order)
    offsets = array.offsets.to_numpy()
    width = int(offsets[1] - offsets[0])
    if not width or np.any(np.diff(offsets) != width):
        return array.take(order)
    # Arrow moves lists of a fixed length as blocks of memory.
    fixed = pa.FixedSizeListArray.from_arrays(array.flatten(), width).take(order)
    starts = np.arange(len(order) + 1, dtype=np.int32) * np.int32(width)
    return pa.ListArray.from_arrays(pa.array(starts), fixed.flatten(), type=array.type)

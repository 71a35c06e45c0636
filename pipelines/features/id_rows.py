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

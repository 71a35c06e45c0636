"""The memory of Arrow's string and binary arrays, for kernels that walk over their bytes."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.kernel import readonly


def offsets_and_bytes(values: pa.Array) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Give an array's own offsets and bytes, without a copy.

    Parameters
    ----------
    values : pyarrow.Array
        string, binary, or their large kinds; may be a slice of another.

    Returns
    -------
    offsets : numpy.ndarray of int32 (int64 of the large kinds), shape (len(values) + 1,)
        Value i is ``data[offsets[i]:offsets[i + 1]]``; the first need not be 0.
    data : numpy.ndarray of uint8
    """
    is_large = pa.types.is_large_string(values.type) or pa.types.is_large_binary(values.type)
    width = np.int64 if is_large else np.int32
    _, offset_buffer, data_buffer = values.buffers()
    # An array of no values may lack even the one offset.
    offsets = np.frombuffer(offset_buffer or bytes(8), dtype=width)
    offsets = offsets[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(data_buffer or b"", dtype=np.uint8)
    return readonly(offsets, width), readonly(data, np.uint8)

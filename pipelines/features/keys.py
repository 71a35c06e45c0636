"""64-bit keys of ids: join keys inside kernels, where strings would be dear."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.hashing import hash_strings


def id_keys(ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Two independent 32-bit hashes of each id side by side, shape (n,)."""
    high = hash_strings("high", ids).astype(np.int64)
    low = hash_strings("low", ids).view(np.uint32).astype(np.int64)
    return (high << 32) | low

"""XXH64 of strings over Arrow buffers: stable keys for sampling and order.

Y. Collet, *xxHash fast digest algorithm*, 64-bit variant. Several values are hashed one after the
other, the hash so far as the seed of the next, from 42 on: what Spark SQL's ``xxhash64`` gives.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.arrow_buffers import offsets_and_bytes
from pipelines.kernel import kernel

SEED = 42

Hashes = npt.NDArray[np.int64]

_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)
_P4 = np.uint64(0x85EBCA77C2B2AE63)
_P5 = np.uint64(0x27D4EB2F165667C5)


def xxhash64(values: pa.Array | pa.ChunkedArray, *prefix: str) -> Hashes:
    """Hash every string of a column, after the same words in front of each.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray of string
        Without nulls.
    prefix : str
        Hashed first, one after the other.

    Returns
    -------
    numpy.ndarray of int64, shape (len(values),)
        As ``xxhash64(prefix..., values)`` of Spark SQL.

    Raises
    ------
    ValueError
        A value is null.
    """
    if values.null_count:
        raise ValueError("xxhash64 takes no nulls")
    seed = np.uint64(SEED)
    for word in prefix:
        seed = _hash_chunk(pa.array([word], pa.string()), seed).view(np.uint64)[0]
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    return np.concatenate([np.zeros(0, np.int64), *(_hash_chunk(c, seed) for c in chunks)])


def _hash_chunk(chunk: pa.Array, seed: np.uint64) -> Hashes:
    hashes = np.empty(len(chunk), dtype=np.int64)
    _hash_slices(*offsets_and_bytes(chunk.cast(pa.string())), seed, hashes)
    return hashes


@kernel
def _rotate(value: np.uint64, bits: int) -> np.uint64:
    return np.uint64((value << np.uint64(bits)) | (value >> np.uint64(64 - bits)))


@kernel
def _word(data: npt.NDArray[np.uint8], start: int, size: int) -> np.uint64:
    word = np.uint64(0)
    for k in range(size):
        word |= np.uint64(data[start + k]) << np.uint64(8 * k)
    return word


@kernel
def _round(state: np.uint64, word: np.uint64) -> np.uint64:
    return np.uint64(_rotate(np.uint64(state + word * _P2), 31) * _P1)


@kernel
def _merge(state: np.uint64, lane: np.uint64) -> np.uint64:
    return np.uint64((state ^ _round(np.uint64(0), lane)) * _P1 + _P4)


@kernel
def _hash_one(data: npt.NDArray[np.uint8], start: int, stop: int, seed: np.uint64) -> np.uint64:
    position = start
    if stop - start >= 32:
        a, b = np.uint64(seed + _P1 + _P2), np.uint64(seed + _P2)
        c, d = seed, np.uint64(seed - _P1)
        while position + 32 <= stop:
            a = _round(a, _word(data, position, 8))
            b = _round(b, _word(data, position + 8, 8))
            c = _round(c, _word(data, position + 16, 8))
            d = _round(d, _word(data, position + 24, 8))
            position += 32
        state = np.uint64(_rotate(a, 1) + _rotate(b, 7) + _rotate(c, 12) + _rotate(d, 18))
        state = _merge(_merge(_merge(_merge(state, a), b), c), d)
    else:
        state = np.uint64(seed + _P5)
    state = np.uint64(state + np.uint64(stop - start))
    while position + 8 <= stop:
        state = np.uint64(state ^ _round(np.uint64(0), _word(data, position, 8)))
        state = np.uint64(_rotate(state, 27) * _P1 + _P4)
        position += 8
    if position + 4 <= stop:
        state = np.uint64(state ^ np.uint64(_word(data, position, 4) * _P1))
        state = np.uint64(_rotate(state, 23) * _P2 + _P3)
        position += 4
    while position < stop:
        state = np.uint64(state ^ np.uint64(np.uint64(data[position]) * _P5))
        state = np.uint64(_rotate(state, 11) * _P1)
        position += 1
    state = np.uint64((state ^ (state >> np.uint64(33))) * _P2)
    state = np.uint64((state ^ (state >> np.uint64(29))) * _P3)
    return np.uint64(state ^ (state >> np.uint64(32)))


@kernel
def _hash_slices(
    offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8], seed: np.uint64, hashes: Hashes
) -> None:
    for row in range(len(hashes)):
        hashes[row] = np.int64(_hash_one(data, offsets[row], offsets[row + 1], seed))

"""Feature hashing: MurmurHash3_x86_32 of ``namespace=value`` over Arrow buffers.

The hash equals ``mmh3.hash(text, 42)`` and the one that Spark ML's ``HashingTF`` and
``FeatureHasher`` reduce to a slot (Spark SQL's ``hash()`` differs unless the length in bytes is a
multiple of four). All 32 bits are kept: a table of 2**bits slots takes the lowest bits.
"""

from typing import Any

import mmh3
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.kernel import kernel, readonly

HASH_SEED = 42

Hashes = npt.NDArray[np.int32]

_C1 = np.uint32(0xCC9E2D51)
_C2 = np.uint32(0x1B873593)
_BYTE = np.uint32(8)


def hash_token(namespace: str, value: str) -> int:
    """Hash one feature, as a signed 32-bit integer; the reference for the kernels.

    >>> hash_token("tag", "vintage") == mmh3.hash("tag=vintage", 42)
    True
    """
    return mmh3.hash(f"{namespace}={value}", HASH_SEED)


def hash_strings(namespace: str, values: pa.Array | pa.ChunkedArray) -> Hashes:
    """Hash every string of a column.

    Parameters
    ----------
    namespace : str
        Name of the feature; ``namespace=`` precedes each value.
    values : pyarrow.Array or pyarrow.ChunkedArray
        Strings (string, large_string, string_view) or a dictionary of them; may be a slice.

    Returns
    -------
    numpy.ndarray of int32, shape (len(values),)
        The hashes; 0 where the value is null (0 may be a hash too: mask by validity).

    Raises
    ------
    TypeError
        The values are not strings.
    """
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    hashes = np.zeros(len(values), dtype=np.int32)
    start = 0
    for chunk in chunks:
        hashes[start : start + len(chunk)] = _hash_chunk(namespace, chunk)
        start += len(chunk)
    return hashes


def _hash_chunk(namespace: str, chunk: pa.Array) -> Hashes:
    if pa.types.is_dictionary(chunk.type):
        hashes = _hash_dictionary(namespace, chunk)
    elif pa.types.is_string(chunk.type) or pa.types.is_large_string(chunk.type):
        hashes = _hash_text(namespace, chunk)
    elif chunk.type == pa.string_view():
        hashes = _hash_text(namespace, chunk.cast(pa.large_string()))
    elif pa.types.is_null(chunk.type):
        return np.zeros(len(chunk), dtype=np.int32)
    else:
        raise TypeError(f"expected strings to hash as {namespace!r}, got {chunk.type}")
    if chunk.null_count:
        hashes[_is_null(chunk)] = 0
    return hashes


def _hash_dictionary(namespace: str, chunk: pa.DictionaryArray) -> Hashes:
    entries = _hash_chunk(namespace, chunk.dictionary)
    if len(entries) == 0:
        return np.zeros(len(chunk), dtype=np.int32)
    hashes: Hashes = entries[chunk.indices.fill_null(0).to_numpy()]
    return hashes


def _hash_text(namespace: str, chunk: pa.Array) -> Hashes:
    hashes = np.empty(len(chunk), dtype=np.int32)
    if len(chunk) == 0:
        return hashes
    _, offset_buffer, data_buffer = chunk.buffers()
    width = np.int64 if pa.types.is_large_string(chunk.type) else np.int32
    offsets = np.frombuffer(offset_buffer, dtype=width)
    offsets = offsets[chunk.offset : chunk.offset + len(chunk) + 1]
    data = np.frombuffer(data_buffer or b"", dtype=np.uint8)
    _hash_slices(*_prefix(namespace), readonly(offsets, width), readonly(data, np.uint8), hashes)
    return hashes


def _is_null(values: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = values.is_null().to_numpy(zero_copy_only=False)
    return mask


def _prefix(namespace: str) -> tuple[np.uint32, np.uint32, np.uint32, np.uint64]:
    """Hash ``namespace=`` once: state after its whole blocks, its last bytes, bits, its length."""
    prefix = f"{namespace}=".encode()
    blocks = np.frombuffer(prefix[: len(prefix) // 4 * 4], dtype="<u4").astype(np.uint32)
    state = _mix_blocks(np.uint32(HASH_SEED), blocks)
    tail = prefix[len(blocks) * 4 :]
    return (
        np.uint32(state),
        np.uint32(int.from_bytes(tail, "little")),
        np.uint32(8 * len(tail)),
        np.uint64(len(prefix)),
    )


@kernel
def _scramble(block: np.uint32) -> np.uint32:
    block = np.uint32(block * _C1)
    block = np.uint32((block << np.uint32(15)) | (block >> np.uint32(17)))
    return np.uint32(block * _C2)


@kernel
def _mix(state: np.uint32, block: np.uint32) -> np.uint32:
    state = np.uint32(state ^ _scramble(block))
    state = np.uint32((state << np.uint32(13)) | (state >> np.uint32(19)))
    return np.uint32(state * np.uint32(5) + np.uint32(0xE6546B64))


@kernel
def _mix_blocks(state: np.uint32, blocks: npt.NDArray[np.uint32]) -> np.uint32:
    for block in blocks:
        state = _mix(state, block)
    return state


@kernel
def _finish(state: np.uint32, length: np.uint64) -> np.int32:
    state = np.uint32(state ^ np.uint32(length))
    state = np.uint32((state ^ (state >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    state = np.uint32((state ^ (state >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.int32(state ^ (state >> np.uint32(16)))


@kernel
def _hash_one(
    state: np.uint32,
    carry: np.uint32,
    carried: np.uint32,
    prefix_length: np.uint64,
    data: npt.NDArray[np.uint8],
    start: np.uint64,
    stop: np.uint64,
) -> np.int32:
    """Hash prefix + data[start:stop]; ``carried`` bits of the prefix wait in ``carry``."""
    position = np.uint64(start)
    while position + np.uint64(4) <= stop:
        # Byte loads that LLVM joins into one unaligned load.
        word = np.uint32(
            np.uint32(data[position])
            | (np.uint32(data[position + np.uint64(1)]) << np.uint32(8))
            | (np.uint32(data[position + np.uint64(2)]) << np.uint32(16))
            | (np.uint32(data[position + np.uint64(3)]) << np.uint32(24))
        )
        state = _mix(state, np.uint32(carry | (word << carried)))
        # Two shifts: a shift by all 32 bits (nothing carried) would be undefined.
        carry = np.uint32((word >> np.uint32(1)) >> (np.uint32(31) - carried))
        position += np.uint64(4)
    while position < stop:
        carry = np.uint32(carry | (np.uint32(data[position]) << carried))
        carried = np.uint32(carried + _BYTE)
        if carried == np.uint32(32):
            state = _mix(state, carry)
            carry = np.uint32(0)
            carried = np.uint32(0)
        position += np.uint64(1)
    if carried > np.uint32(0):
        state = np.uint32(state ^ _scramble(carry))
    return _finish(state, prefix_length + np.uint64(stop - start))


@kernel
def _hash_slices(
    state: np.uint32,
    carry: np.uint32,
    carried: np.uint32,
    prefix_length: np.uint64,
    offsets: npt.NDArray[Any],
    data: npt.NDArray[np.uint8],
    hashes: Hashes,
) -> None:
    for row in range(len(hashes)):
        hashes[row] = _hash_one(
            state,
            carry,
            carried,
            prefix_length,
            data,
            np.uint64(offsets[row]),
            np.uint64(offsets[row + 1]),
        )

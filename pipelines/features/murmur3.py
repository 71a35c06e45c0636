"""MurmurHash3_x86_32 of many byte strings that begin with the same bytes.

A. Appleby, *MurmurHash3*, x86 variant of 32 bits. The common prefix is hashed once.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel

Hashes = npt.NDArray[np.int32]

_C1 = np.uint32(0xCC9E2D51)
_C2 = np.uint32(0x1B873593)
_BYTE = np.uint32(8)


class Prefix(NamedTuple):
    """Where the hash stands after a prefix.

    Attributes
    ----------
    state : numpy.uint32
        After the whole blocks of four bytes.
    carry : numpy.uint32
        The bytes behind them, little-endian.
    carried : numpy.uint32
        Bits in ``carry``: 0, 8, 16 or 24.
    length : numpy.uint64
        Bytes of the prefix.
    """

    state: np.uint32
    carry: np.uint32
    carried: np.uint32
    length: np.uint64


def hash_prefix(prefix: bytes, seed: int) -> Prefix:
    """Hash the bytes that stand before every value."""
    blocks = np.frombuffer(prefix[: len(prefix) // 4 * 4], dtype="<u4").astype(np.uint32)
    tail = prefix[len(blocks) * 4 :]
    return Prefix(
        np.uint32(_mix_blocks(np.uint32(seed), blocks)),
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
    prefix: Prefix, data: npt.NDArray[np.uint8], start: np.uint64, stop: np.uint64
) -> np.int32:
    """Hash prefix + data[start:stop]."""
    state, carry, carried = prefix.state, prefix.carry, prefix.carried
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
    return _finish(state, prefix.length + np.uint64(stop - start))


@kernel
def hash_slices(
    prefix: Prefix, offsets: npt.NDArray[Any], data: npt.NDArray[np.uint8], hashes: Hashes
) -> None:
    """Hash prefix + data[offsets[i]:offsets[i + 1]] of every row i into ``hashes``."""
    for row in range(len(hashes)):
        start, stop = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
        hashes[row] = _hash_one(prefix, data, start, stop)

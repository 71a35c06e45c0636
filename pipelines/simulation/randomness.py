"""Seeded streams, stable hashes and identifiers of the simulated marketplace."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.splitmix import Words, mix_bits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint16)
_ID_LENGTH = 16


def mix64(keys: Words) -> Words:
    """Bijective 64-bit mixing: what SplitMix64 gives in each of these states."""
    return mix_bits(keys + np.uint64(0x9E3779B97F4A7C15))


def stream_key(seed: int, stream: str, day: int = 0) -> np.uint64:
    """One 64-bit key per (seed, named stream, day index)."""
    name = zlib.crc32(stream.encode())
    key = mix64(np.array([seed], np.uint64))
    key = mix64(key ^ np.uint64(name))
    return np.uint64(mix64(key ^ np.array([day], np.int64).view(np.uint64))[0])


def generator(seed: int, stream: str, day: int = 0) -> np.random.Generator:
    """Independent generator of one stream and day: nothing drawn elsewhere can shift it."""
    key = stream_key(seed, stream, day)
    return np.random.Generator(np.random.Philox(key=int(key)))


def hashed_uniform(keys: Ints, salt: np.uint64) -> Floats:
    """Uniform numbers in [0, 1) that depend on the keys and the salt only."""
    mixed = mix64(keys.view(np.uint64) ^ salt)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def hex_ids(keys: Words) -> pa.Array:
    """Arrow strings of 16 hexadecimal characters; distinct keys give distinct strings."""
    characters = _HEX[keys.astype(">u8").view(np.uint8)]
    offsets = np.arange(len(keys) + 1, dtype=np.int32) * _ID_LENGTH
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(characters)]
    return pa.Array.from_buffers(pa.string(), len(keys), buffers)


def zipf_cdf(size: int, exponent: float) -> Floats:
    """Cumulative probabilities of a Zipf law over ranks 1..size."""
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return np.asarray(np.cumsum(weights) / weights.sum())


def draw(cdf: Floats, uniform: Floats) -> Ints:
    """Indices drawn by inverting a cumulative distribution at uniform numbers."""
    return np.minimum(np.searchsorted(cdf, uniform, side="right"), len(cdf) - 1)

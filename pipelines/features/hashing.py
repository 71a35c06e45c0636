"""Feature hashing: MurmurHash3_x86_32 of ``namespace=value`` over Arrow columns.

The hash equals ``mmh3.hash(text, 42)`` and the one that Spark ML's ``HashingTF`` and
``FeatureHasher`` reduce to a slot (Spark SQL's ``hash()`` differs unless the length in bytes is a
multiple of four). All 32 bits are kept: a table of 2**bits slots takes the lowest bits.
"""

import mmh3
import numpy as np
import pyarrow as pa

from pipelines.features.arrow_buffers import offsets_and_bytes
from pipelines.features.murmur3 import Hashes, hash_prefix, hash_slices

HASH_SEED = 42


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
        hashes[chunk.is_null().to_numpy(zero_copy_only=False)] = 0
    return hashes


def _hash_dictionary(namespace: str, chunk: pa.DictionaryArray) -> Hashes:
    entries = _hash_chunk(namespace, chunk.dictionary)
    if len(entries) == 0:
        return np.zeros(len(chunk), dtype=np.int32)
    hashes: Hashes = entries[chunk.indices.fill_null(0).to_numpy()]
    return hashes


def _hash_text(namespace: str, chunk: pa.Array) -> Hashes:
    hashes = np.empty(len(chunk), dtype=np.int32)
    hash_slices(hash_prefix(f"{namespace}=".encode(), HASH_SEED), *offsets_and_bytes(chunk), hashes)
    return hashes

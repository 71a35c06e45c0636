"""The file between `promoted-ctr export` and a server: a header of JSON, then arrays as they are.

bytes 0-7      PCTRSERV
bytes 8-15     version of the format, unsigned little-endian, as the two after it
bytes 16-23    CRC-32 of all that follows byte 31
bytes 24-31    length of the header
then           the header; "arrays" in it: name -> [type, entries, offset from the file's start]
then           the arrays, little-endian, each at a multiple of 64 bytes
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]

MAGIC, VERSION = b"PCTRSERV", 1
_PREFIX = 32
_ALIGNED = 64


class BadFile(ValueError):
    """The file is not one that this scorer reads."""


def packed(header: Mapping[str, Any], arrays: Arrays) -> bytes:
    """The content of a file.

    Parameters
    ----------
    header : mapping
        Plain values; `arrays` is added.
    arrays : mapping of str to numpy.ndarray, one-dimensional
    """
    places: dict[str, list[Any]] = {}
    little = {name: array.astype(array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    # Offsets are counted from the end of the header, then moved behind it: its length depends on
    # them, so it is padded to what it needs at most.
    size = 0
    for name, array in little.items():
        places[name] = [array.dtype.str, len(array), size]
        size += -(-array.nbytes // _ALIGNED) * _ALIGNED
    start = -(-(_PREFIX + len(_json(header, places)) + 16 * len(places)) // _ALIGNED) * _ALIGNED
    for place in places.values():
        place[2] += start
    text = _json(header, places).ljust(start - _PREFIX)
    parts = [text]
    for array in little.values():
        parts += [array.tobytes(), bytes(-array.nbytes % _ALIGNED)]
    content = b"".join(parts)
    numbers = np.array([VERSION, zlib.crc32(content), len(text)], dtype="<u8")
    return MAGIC + numbers.tobytes() + content


def _json(header: Mapping[str, Any], places: Mapping[str, list[Any]]) -> bytes:
    return json.dumps({**header, "arrays": places}, ensure_ascii=False).encode()


def unpacked(data: Any) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Header and arrays of a file's content, without a copy.

    Raises
    ------
    BadFile
        It is no such file, of another version, cut short or damaged.
    """
    content = memoryview(data)
    if len(content) < _PREFIX or bytes(content[:8]) != MAGIC:
        raise BadFile("not a file of `promoted-ctr export`")
    version, checksum, length = np.frombuffer(content[8:_PREFIX], "<u8").tolist()
    if version != VERSION:
        raise BadFile(f"version {version} of the format; this scorer reads version {VERSION}")
    if zlib.crc32(content[_PREFIX:]) != checksum:
        raise BadFile("cut short or damaged: its checksum is another")
    header = json.loads(bytes(content[_PREFIX : _PREFIX + length]))
    return header, {
        name: np.frombuffer(content, dtype, count, offset)
        for name, (dtype, count, offset) in header["arrays"].items()
    }

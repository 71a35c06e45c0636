"""Fields of an impression that calibration corrects one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.models.segments import COLD, WARM

_LAST_SINGLE = 4
_BANDS = ((6, "5-6"), (12, "7-12"), (24, "13-24"), (48, "25-48"))

Coded = tuple[npt.NDArray[np.int64], list[str]]


def position_band(position: int) -> str:
    """Band of a position: single up to 4, then widening.

    >>> position_band(3), position_band(9), position_band(100)
    ('3', '7-12', '49+')
    """
    if position <= _LAST_SINGLE:
        return str(position)
    return next((name for last, name in _BANDS if position <= last), "49+")


def position_bands(positions: pa.Array) -> pa.Array:
    """Band of every position of a column."""
    encoded = positions.dictionary_encode()
    names = pa.array([position_band(int(p)) for p in encoded.dictionary.to_pylist()], pa.string())
    return names.take(encoded.indices)


def top_levels(paths: pa.Array) -> pa.Array:
    """Top level of every category path of a column: `a` of `a > b > c`; null stays null.

    >>> top_levels(pa.array(["home > kitchen > mugs", "toys", None])).to_pylist()
    ['home', 'toys', None]
    """
    return pc.utf8_trim_whitespace(pc.list_element(pc.split_pattern(paths, ">"), 0))


def coded(values: pa.Array | pa.ChunkedArray) -> Coded:
    """Numbers and names of a field's values; unknown is the empty name."""
    filled = pc.fill_null(values.cast(pa.string()), "")
    if isinstance(filled, pa.ChunkedArray):
        filled = filled.combine_chunks()
    encoded = filled.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, encoded.dictionary.to_pylist()


def segment_field(is_cold: npt.NDArray[np.bool_]) -> Coded:
    """The segment as a field."""
    return (~is_cold).astype(np.int64), [COLD, WARM]

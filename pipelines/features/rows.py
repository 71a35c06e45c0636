"""Rows of hashed features: a ragged array of slots, and its packed binary column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.arrow_buffers import offsets_and_bytes
from pipelines.kernel import kernel, readonly

_SLOT_BYTES = 4
_INT32_MAX = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class SlotRows:
    """Hashed features of n rows, any number a row.

    Attributes
    ----------
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Row i holds ``slots[offsets[i]:offsets[i + 1]]``; the first need not be 0.
    slots : numpy.ndarray of int32
        Full-width hashes, all rows in order.

    Raises
    ------
    ValueError
        The offsets are not ascending or point outside ``slots``.
    """

    offsets: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", readonly(self.offsets, np.int64))
        object.__setattr__(self, "slots", readonly(self.slots, np.int32))
        _check_offsets(self.offsets, len(self.slots))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of slots of each row, shape (n,)."""
        return np.diff(self.offsets)

    @classmethod
    def from_column(
        cls, slots: npt.NDArray[np.int32], valid: npt.NDArray[np.bool_] | None = None
    ) -> Self:
        """Make rows of one slot each, or of none where ``valid`` is false.

        Parameters
        ----------
        slots : numpy.ndarray of int32, shape (n,)
        valid : numpy.ndarray of bool, shape (n,), optional
            All true if not given.
        """
        if valid is None:
            return cls(np.arange(len(slots) + 1, dtype=np.int64), slots)
        return cls.from_lists(np.arange(len(slots) + 1, dtype=np.int64), slots, valid)

    @classmethod
    def from_lists(
        cls,
        offsets: npt.NDArray[np.integer[Any]],
        slots: npt.NDArray[np.int32],
        valid: npt.NDArray[np.bool_] | None = None,
    ) -> Self:
        """Make rows from the absolute offsets of a list column and the hashes of its values.

        Parameters
        ----------
        offsets : numpy.ndarray of integers, shape (n + 1,)
            As of ``ListArray.offsets``.
        slots : numpy.ndarray of int32, shape (m,)
            Hashes of ``ListArray.values`` (not of ``flatten()``, which would shift them).
        valid : numpy.ndarray of bool, shape (m,), optional
            Slots to keep; the others, such as those of null elements, are left out.
        """
        absolute = readonly(offsets, np.int64)
        if valid is None:
            return cls(absolute, slots)
        if len(valid) != len(slots):
            raise ValueError(f"{len(valid)} validity flags for {len(slots)} slots")
        _check_offsets(absolute, len(slots))
        kept = np.zeros(len(slots) + 1, dtype=np.int64)
        np.cumsum(valid, out=kept[1:])
        return cls(kept[absolute], slots[valid])

    @classmethod
    def concatenate(cls, parts: Sequence["SlotRows"]) -> Self:
        """Join the slots of each row over the parts, in the order of the parts.

        Raises
        ------
        ValueError
            There are no parts, or they differ in their number of rows.
        """
        counts = {len(part) for part in parts}
        if len(counts) != 1:
            raise ValueError(f"parts to join by row have {sorted(counts)} rows")
        rows = counts.pop()
        offsets = np.zeros(rows + 1, dtype=np.int64)
        for part in parts:
            offsets[1:] += part.lengths
        np.cumsum(offsets, out=offsets)
        slots = np.empty(offsets[-1], dtype=np.int32)
        cursor = offsets[:-1].copy()
        for part in parts:
            _append(part.offsets, part.slots, cursor, slots)
        return cls(offsets, slots)

    @classmethod
    def from_binary(cls, packed: pa.Array | pa.ChunkedArray) -> Self:
        """Read rows from a packed column, without a copy where it is one chunk without nulls.

        Parameters
        ----------
        packed : pyarrow.Array or pyarrow.ChunkedArray of binary or large_binary
            Little-endian int32 slots; a null row has no slots.

        Raises
        ------
        TypeError
            The column is not binary.
        ValueError
            The length of a row is not a multiple of four bytes.
        """
        if not (pa.types.is_binary(packed.type) or pa.types.is_large_binary(packed.type)):
            raise TypeError(f"expected packed slots as binary, got {packed.type}")
        chunks = packed.chunks if isinstance(packed, pa.ChunkedArray) else [packed]
        parts = [_unpack(chunk) for chunk in chunks if len(chunk)]
        if not parts:
            return cls(np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.int32))
        if len(parts) == 1:
            return cls(*parts[0])
        ends = np.cumsum([len(slots) for _, slots in parts])
        starts = [0, *ends[:-1]]
        pieces = [offsets[1:] + start for (offsets, _), start in zip(parts, starts, strict=True)]
        return cls(
            np.concatenate([np.zeros(1, dtype=np.int64), *pieces]),
            np.concatenate([slots for _, slots in parts]),
        )

    def to_binary(self, *, large: bool = False) -> pa.Array:
        """Pack each row into bytes: little-endian int32 slots, sharing the slots' memory.

        Parameters
        ----------
        large : bool
            Give ``large_binary`` instead of ``binary`` (the one that Spark takes by default).

        Raises
        ------
        ValueError
            ``binary`` cannot hold the rows: over 2 GiB; pass fewer rows.
        """
        first, last = int(self.offsets[0]), int(self.offsets[-1])
        offsets = (self.offsets - first) * _SLOT_BYTES
        if not large and offsets[-1] > _INT32_MAX:
            raise ValueError(f"{offsets[-1]} bytes of slots exceed what one binary array holds")
        offsets = offsets.astype(np.int64 if large else np.int32, copy=False)
        data = self.slots[first:last].astype("<i4", copy=False)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data)]
        kind = pa.large_binary() if large else pa.binary()
        return pa.Array.from_buffers(kind, len(self), buffers)


def _check_offsets(offsets: npt.NDArray[np.int64], size: int) -> None:
    if len(offsets) == 0:
        raise ValueError("offsets of n rows have n + 1 entries, got none")
    if offsets[0] < 0 or offsets[-1] > size or not _ascending(offsets):
        raise ValueError(f"offsets must ascend within 0..{size}")


def _unpack(chunk: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    if chunk.null_count:
        chunk = chunk.fill_null(b"")
    ends, data = offsets_and_bytes(chunk)
    offsets = ends.astype(np.int64) - ends[0]
    if (offsets % _SLOT_BYTES).any():
        raise ValueError("packed slots: the length of a row is not a multiple of 4 bytes")
    packed = data[ends[0] : ends[-1]]
    return offsets // _SLOT_BYTES, readonly(packed.view("<i4"), np.int32)


@kernel
def _ascending(offsets: npt.NDArray[np.int64]) -> bool:
    count = 0
    for row in range(len(offsets) - 1):
        count += offsets[row] <= offsets[row + 1]
    return count == len(offsets) - 1


@kernel
def _append(
    offsets: npt.NDArray[np.int64],
    slots: npt.NDArray[np.int32],
    cursor: npt.NDArray[np.int64],
    joined: npt.NDArray[np.int32],
) -> None:
    """Copy each row's slots to its cursor, and move the cursors behind them."""
    for row in range(len(cursor)):
        target = cursor[row]
        for source in range(offsets[row], offsets[row + 1]):
            joined[target] = slots[source]
            target += 1
        cursor[row] = target

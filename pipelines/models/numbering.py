"""Dense numbers for 64-bit ids: exact, whatever their number."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from pipelines.kernel import readonly
from pipelines.models import joint_kernels as kernels

Ids = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]
Kind = TypeVar("Kind", bound=np.generic)

_FIRST_BITS = 12


class Numbering:
    """Numbers ids 0, 1, 2 ... in the order in which they are first seen.

    Memory: 8 to 16 bytes an id for its place, and 8 for the id.
    """

    def __init__(self, ids: Ids) -> None:
        self.count = 0
        self._ids = np.empty(max(1 << (_FIRST_BITS - 1), len(ids)), dtype=np.int64)
        self._allocate(max(_FIRST_BITS, int(2 * len(ids)).bit_length()))
        if len(ids):
            self.add(ids)

    @property
    def ids(self) -> Ids:
        """All ids, by number; not to be written."""
        return self._ids[: self.count]

    def add(self, ids: Ids) -> Index:
        """Numbers of ids, shape (n,); new ones get the next; -1 for `kernels.EMPTY`."""
        wanted = readonly(ids, np.int64)
        found = np.empty(len(wanted), dtype=np.int32)
        start = 0
        while start < len(wanted):
            done, self.count = kernels.find_or_add(
                self._places, self._ids, self.count, wanted[start:], found[start:]
            )
            start += done
            if start < len(wanted):
                self._grow()
        return found

    def find(self, ids: Ids) -> Index:
        """Numbers of ids, shape (n,); -1 for unknown ones."""
        found = np.empty(len(ids), dtype=np.int32)
        kernels.find(self._places, self._ids, readonly(ids, np.int64), found)
        return found

    def _allocate(self, bits: int) -> None:
        self._places = np.full(1 << bits, -1, dtype=np.int32)

    def _grow(self) -> None:
        if self.count == len(self._ids):
            self._ids = with_room(self._ids, self.count, self.count + 1)
        if 2 * self.count >= len(self._places):
            bits = len(self._places).bit_length()
            # The old table goes first: both at once would be half as much again.
            self._places = np.empty(0, np.int32)
            self._allocate(bits)
            kernels.place_ids(self._places, self.ids)


def with_room(array: npt.NDArray[Kind], used: int, least: int) -> npt.NDArray[Kind]:
    """The first `used` rows in an array of half as many again, of `least` at least.

    What is free of it takes no memory until it is written.
    """
    larger = np.empty((max(used + used // 2, least), *array.shape[1:]), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger

"""Dense numbers for 64-bit ids: exact, whatever their number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pipelines.kernel import readonly
from pipelines.models import joint_kernels as kernels

Ids = npt.NDArray[np.int64]
Index = npt.NDArray[np.int32]

_FIRST_BITS = 12


class Numbering:
    """Numbers ids 0, 1, 2 ... in the order in which they are first seen.

    Memory: 24 to 48 bytes an id at half to quarter full tables, and 8 for the list of ids.
    """

    def __init__(self, ids: Ids) -> None:
        self._blocks: list[Ids] = []
        self.count = 0
        self._allocate(max(_FIRST_BITS, int(2 * len(ids)).bit_length()))
        if len(ids):
            self.add(ids)

    @property
    def ids(self) -> Ids:
        """All ids, by number."""
        return np.concatenate([np.empty(0, np.int64), *self._blocks])

    def add(self, ids: Ids) -> Index:
        """Numbers of ids, shape (n,); new ones get the next; -1 for `kernels.EMPTY`."""
        wanted = readonly(ids, np.int64)
        found = np.empty(len(wanted), dtype=np.int32)
        added = np.empty(len(wanted), dtype=np.int64)
        start = 0
        while True:
            ended = kernels.find_or_add(
                self._keys, self._places, self.count, wanted[start:], added, found[start:]
            )
            if ended >= 0:
                self._keep(added[: ended - self.count])
                return found
            # Half full: what was added before the row that found it so is numbered already.
            row = start - 1 - ended
            fresh = found[start:row]
            new = int(max(fresh.max(initial=-1) + 1 - self.count, 0))
            self._keep(added[:new])
            start = row
            self._grow()

    def find(self, ids: Ids) -> Index:
        """Numbers of ids, shape (n,); -1 for unknown ones."""
        found = np.empty(len(ids), dtype=np.int32)
        kernels.find(self._keys, self._places, readonly(ids, np.int64), found)
        return found

    def _keep(self, ids: Ids) -> None:
        if len(ids):
            self._blocks.append(ids.copy())
            self.count += len(ids)

    def _allocate(self, bits: int) -> None:
        self._keys = np.full(1 << bits, kernels.EMPTY, dtype=np.int64)
        self._places = np.empty(1 << bits, dtype=np.int32)

    def _grow(self) -> None:
        ids, bits = self.ids, len(self._keys).bit_length()
        # The old table goes first: both at once would be half as much again.
        self._keys, self._places = np.empty(0, np.int64), np.empty(0, np.int32)
        self._allocate(bits)
        scratch = np.empty(len(ids), dtype=np.int64)
        kernels.find_or_add(
            self._keys, self._places, 0, readonly(ids, np.int64), scratch,
            np.empty(len(ids), dtype=np.int32),
        )  # fmt: skip
        self._blocks = [ids]

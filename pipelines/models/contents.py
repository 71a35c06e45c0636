"""What entities are made of: for each entity a list of contents, each of a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.kernel import kernel
from pipelines.models.sorted_ids import held_by

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Contents:
    """Contents of entities of one type, by ascending id.

    Attributes
    ----------
    ids : numpy.ndarray of int64, shape (n,)
        Entities, strictly ascending.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Entity i holds the parts ``offsets[i]:offsets[i + 1]``.
    parts : numpy.ndarray of int64
        Ids of contents.
    kinds : numpy.ndarray of int16
        Number of each part's kind.
    values : numpy.ndarray of float64
        1 for what is there or not; the number itself for dense inputs.
    """

    ids: Ids
    offsets: Ids
    parts: Ids
    kinds: npt.NDArray[np.int16]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def none(cls) -> Contents:
        """Of no entity."""
        return cls(
            np.empty(0, np.int64),
            np.zeros(1, np.int64),
            np.empty(0, np.int64),
            np.empty(0, np.int16),
            np.empty(0),
        )

    def take(self, rows: npt.NDArray[np.int64]) -> Contents:
        """The entities of some rows, in their order."""
        lengths = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.empty(offsets[-1], dtype=np.int64)
        _spread(self.offsets[rows], offsets, places)
        return Contents(
            self.ids[rows], offsets, self.parts[places], self.kinds[places], self.values[places]
        )

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sum a number of every part, given in their order, over each entity, shape (n,)."""
        sums = np.zeros(len(self.ids))
        _add_parts(self.offsets, values, sums)
        return sums

    def updated(self, newer: Contents) -> Contents:
        """Both together; of an entity that both hold, what the newer one says."""
        kept = self.take(np.flatnonzero(~held_by(self.ids, newer.ids)))
        joined = Contents(
            np.concatenate([kept.ids, newer.ids]),
            np.concatenate([kept.offsets, kept.offsets[-1] + newer.offsets[1:]]),
            np.concatenate([kept.parts, newer.parts]),
            np.concatenate([kept.kinds, newer.kinds]),
            np.concatenate([kept.values, newer.values]),
        )
        return joined.take(np.argsort(joined.ids, kind="stable"))


@kernel
def _spread(starts: Any, offsets: Any, places: Any) -> None:
    for row in range(len(starts)):
        for k in range(offsets[row], offsets[row + 1]):
            places[k] = starts[row] + (k - offsets[row])


@kernel
def _add_parts(
    offsets: Ids, values: npt.NDArray[np.float64], sums: npt.NDArray[np.float64]
) -> None:
    for row in range(len(sums)):
        for place in range(offsets[row], offsets[row + 1]):
            sums[row] += values[place]

"""Learnt weights as they travel from the table to where they score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.hashing import hash_token

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Weights:
    """Weights of one model on one day, touched coordinates only.

    Attributes
    ----------
    bits : int
        The table has 2**bits slots.
    slot : numpy.ndarray of int32
        Ascending; dense column j is -1 - j.
    weight, n : numpy.ndarray of float64
        Weight, and sum of squared gradients.
    dense : int
        Number of dense columns.
    """

    bits: int
    dense: int
    slot: npt.NDArray[np.int32]
    weight: Floats
    n: Floats

    @classmethod
    def from_arrow(cls, rows: pa.Table, *, model: str, bits: int, dense: int) -> Weights:
        """From rows of `model_weights` of one day."""
        of_model = rows.filter(pc.equal(rows["model"], model)).sort_by("slot")
        return cls(
            bits,
            dense,
            of_model["slot"].to_numpy().astype(np.int32),
            of_model["weight"].to_numpy().astype(np.float64),
            of_model["n"].to_numpy().astype(np.float64),
        )

    @cached_property
    def table(self) -> Floats:
        """Weight of every hashed slot, shape (2**bits,)."""
        return self._spread(self.weight)

    @cached_property
    def information(self) -> Floats:
        """Sum of squared gradients of every hashed slot, shape (2**bits,)."""
        return self._spread(self.n)

    @cached_property
    def dense_weights(self) -> Floats:
        """Weights of the dense columns, shape (dense,)."""
        weights = np.zeros(self.dense)
        is_dense = self.slot < 0
        weights[-1 - self.slot[is_dense]] = self.weight[is_dense]
        return weights

    def __getstate__(self) -> dict[str, object]:
        """Only what was learnt travels; tables are spread where they are needed."""
        return {name: getattr(self, name) for name in ("bits", "dense", "slot", "weight", "n")}

    def of(self, namespace: str, value: str) -> float:
        """The weight of one feature by name."""
        slot = hash_token(namespace, value) & ((1 << self.bits) - 1)
        return float(self.table[slot])

    def _spread(self, values: Floats) -> Floats:
        table = np.zeros(1 << self.bits)
        hashed = self.slot >= 0
        table[self.slot[hashed]] = values[hashed]
        return table

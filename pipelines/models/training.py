"""Training: one pass over ordered blocks feeds every learner whose window holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.days import day_numbers
from pipelines.features.rows import SlotRows
from pipelines.kernel import kernel
from pipelines.models.elementary import log_losses
from pipelines.models.ftrl import FtrlParameters, FtrlState, learn


@dataclass(frozen=True)
class DenseInputs:
    """Dense inputs of listings, found by a 64-bit hash of the listing id.

    Attributes
    ----------
    keys : numpy.ndarray of int64, shape (L,)
        Ascending.
    vectors : numpy.ndarray of float32, shape (L, d)
    """

    keys: npt.NDArray[np.int64]
    vectors: npt.NDArray[np.float32]

    def rows_of(self, listing_keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Row of each listing in `vectors`; -1 where it has none."""
        if len(self.keys) == 0:
            return np.full(len(listing_keys), -1, dtype=np.int32)
        places = np.searchsorted(self.keys, listing_keys)
        places = np.minimum(places, len(self.keys) - 1)
        return np.where(self.keys[places] == listing_keys, places, -1).astype(np.int32)


@dataclass
class Learner:
    """One model that ends with one day: its window, its state and its running figures."""

    end_day: int
    search_days: int
    promoted_days: int
    state: FtrlState
    dense: DenseInputs | None = None
    log_loss: float = 0.0
    days: set[int] = field(default_factory=set)

    def learn(self, block: Block) -> None:
        """Learn the rows of a block that lie in the window.

        The older days of the longer window hold one surface only and come first, as days ascend.
        """
        both = self.end_day - min(self.search_days, self.promoted_days) + 1
        first = self.end_day - max(self.search_days, self.promoted_days) + 1
        longer = block.search if self.search_days > self.promoted_days else block.promoted
        self._learn(longer, first, both)
        self._learn(block, both, self.end_day + 1)

    def is_inside(self, block: Block) -> npt.NDArray[np.bool_]:
        """Which rows of a block lie in the window of their surface."""
        days = np.where(block.is_search, self.search_days, self.promoted_days)
        return np.asarray((block.day > self.end_day - days) & (block.day <= self.end_day))

    def _learn(self, block: Block, first: int, end: int) -> None:
        """Learn the rows of days first <= day < end."""
        start, stop = np.searchsorted(block.day, [first, end]).tolist()
        if start == stop:
            return
        vectors: dict[str, Any] = {}
        if self.dense is not None:
            vectors = {
                "dense": self.dense.vectors,
                "dense_row": self.dense.rows_of(block.listing_key),
            }
        logit = learn(
            self.state,
            block.rows,
            block.clicked,
            block.glm_offset,
            block.day,
            block.order_key,
            start=start,
            stop=stop,
            **vectors,
        )
        losses = log_losses(logit, block.clicked[start:stop])
        # In row order, so that blocks of any size give the same sum.
        self.log_loss = running_sum(self.log_loss, losses)
        self.days.update(np.unique(block.day[start:stop]).tolist())


@dataclass(frozen=True)
class Block:
    """Rows of `features` in training order, for one model."""

    day: npt.NDArray[np.int32]
    order_key: npt.NDArray[np.int64]
    clicked: npt.NDArray[np.uint8]
    is_search: npt.NDArray[np.bool_]
    glm_offset: npt.NDArray[np.float64]
    listing_key: npt.NDArray[np.int64]
    rows: SlotRows

    @cached_property
    def search(self) -> Block:
        """The rows of the search surface."""
        return self.where(self.is_search)

    @cached_property
    def promoted(self) -> Block:
        """The rows of the promoted surface."""
        return self.where(~self.is_search)

    def where(self, mask: npt.NDArray[np.bool_]) -> Block:
        """The rows of a mask."""
        lengths = self.rows.lengths
        first = self.rows.offsets[0]
        slots = self.rows.slots[first : first + int(lengths.sum())]
        kept = SlotRows(
            np.concatenate([[0], np.cumsum(lengths[mask])]).astype(np.int64),
            slots[np.repeat(mask, lengths)],
        )
        return Block(
            self.day[mask],
            self.order_key[mask],
            self.clicked[mask],
            self.is_search[mask],
            self.glm_offset[mask],
            self.listing_key[mask],
            kept,
        )

    @classmethod
    def from_arrow(cls, batch: pa.RecordBatch) -> Block:
        """From columns ds, order_key, clicked, surface, sampling_rate, listing_key, slots."""
        rate = batch.column("sampling_rate").to_numpy(zero_copy_only=False)
        surface = batch.column("surface").dictionary_encode()
        names = surface.dictionary.to_pylist()
        search = names.index("search") if "search" in names else -1
        return cls(
            day_numbers(batch.column("ds")),
            batch.column("order_key").to_numpy(),
            batch.column("clicked").cast(pa.uint8()).to_numpy(zero_copy_only=False),
            surface.indices.to_numpy(zero_copy_only=False) == search,
            -np.log(rate),
            batch.column("listing_key").to_numpy(),
            SlotRows.from_binary(batch.column("slots")),
        )


def train(
    blocks: Iterable[pa.RecordBatch], learners: Sequence[Learner], *, keep_rows: int = 0
) -> list[Block]:
    """Feed ordered blocks to all learners; each takes what lies in its window.

    Returns
    -------
    list of Block
        What was learnt from, at most `keep_rows` of each day and surface: the first in order, which
        is that of a hash, so they are a sample.

    Raises
    ------
    ValueError
        The rows are not in (day, order_key) order.
    DivergenceError
        Learning left the finite numbers.
    """
    kept: list[Block] = []
    taken: dict[tuple[int, bool], int] = {}
    for batch in blocks:
        if batch.num_rows:
            block = Block.from_arrow(batch)
            for learner in learners:
                learner.learn(block)
            if keep_rows:
                used = np.any([learner.is_inside(block) for learner in learners], axis=0)
                kept.append(block.where(used & _is_among_first(block, taken, keep_rows)))
    return kept


def _is_among_first(
    block: Block, taken: dict[tuple[int, bool], int], limit: int
) -> npt.NDArray[np.bool_]:
    """Whether fewer than `limit` rows of a row's day and surface come before it."""
    first = np.zeros(len(block.day), dtype=np.bool_)
    for day in np.unique(block.day).tolist():
        for search in (False, True):
            rows = np.flatnonzero((block.day == day) & (block.is_search == search))
            before = taken.get((day, search), 0)
            first[rows[: max(limit - before, 0)]] = True
            taken[day, search] = before + len(rows)
    return first


def new_learners(
    end_days: Sequence[int],
    parameters: FtrlParameters,
    *,
    search_days: int,
    promoted_days: int,
    dense: Mapping[int, DenseInputs] | None = None,
) -> list[Learner]:
    """One learner per end day, with the dense inputs of its day where the model has some."""
    learners = []
    for day in end_days:
        inputs = dense.get(day) if dense is not None else None
        width = inputs.vectors.shape[1] if inputs is not None else 0
        state = FtrlState.new(parameters, dense=width)
        learners.append(Learner(day, search_days, promoted_days, state, inputs))
    return learners


@kernel
def running_sum(total: float, values: Any) -> float:
    """Add values to a total one after the other."""
    for value in values:
        total += value
    return total

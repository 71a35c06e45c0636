"""What an entity is usually shown with, such as the category of a query's results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.features.ids import NONE, value_id
from pipelines.kernel import kernel
from pipelines.models.numbering import Numbering
from pipelines.models.sorted_ids import pair_order

Ids = npt.NDArray[np.int64]

SAME, SAME_BRANCH, OTHER, NEW = "same", "branch", "other", "new"
"""How a row's value stands to the entity's usual one; `NEW` is an entity without any."""


@dataclass(frozen=True)
class PairCounts:
    """How often entities were shown with values, by ascending (entity, value).

    Attributes
    ----------
    entity, value, branch : numpy.ndarray of int64, shape (n,)
        Ids; the branch is what the value belongs to.
    count : numpy.ndarray of int64, shape (n,)
    """

    entity: Ids
    value: Ids
    branch: Ids
    count: Ids

    @classmethod
    def none(cls) -> PairCounts:
        """Of no pair."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing, nothing)

    def __len__(self) -> int:
        return len(self.entity)

    def added(self, entity: Ids, value: Ids, branch: Ids) -> PairCounts:
        """With the pairs of more rows, shape (m,); those without one of both are passed over."""
        known = (entity != NONE) & (value != NONE)
        ones = np.ones(int(np.count_nonzero(known)), dtype=np.int64)
        entities = np.concatenate([self.entity, entity[known]])
        values = np.concatenate([self.value, value[known]])
        branches = np.concatenate([self.branch, branch[known]])
        counts = np.concatenate([self.count, ones])
        order = pair_order(entities, values, len(self))
        entities, values = entities[order], values[order]
        first = np.ones(len(order), dtype=np.bool_)
        first[1:] = (entities[1:] != entities[:-1]) | (values[1:] != values[:-1])
        starts = np.flatnonzero(first)
        summed = np.add.reduceat(counts[order], starts) if len(starts) else counts
        return PairCounts(entities[starts], values[starts], branches[order][starts], summed)


_ROWS_HELD = 2**20


class PairCounter:
    """Counts the pairs of rows as they come.

    Memory: 32 bytes a distinct pair, and 24 for as many rows, or for a million.
    """

    def __init__(self, counts: PairCounts) -> None:
        self._counts = counts
        self._rows: list[tuple[Ids, Ids, Ids]] = []
        self._held = 0

    def add(self, entity: Ids, value: Ids, branch: Ids) -> None:
        """Count more rows, as `PairCounts.added` does."""
        # Copies: a view would hold all other columns of the rows too.
        self._rows.append((entity.copy(), value.copy(), branch.copy()))
        self._held += len(entity)
        if self._held >= max(_ROWS_HELD, len(self._counts)):
            self.counts()

    def counts(self) -> PairCounts:
        """The pairs of all rows so far."""
        if self._rows:
            rows = (np.concatenate(part) for part in zip(*self._rows, strict=True))
            self._counts = self._counts.added(*rows)
            self._rows, self._held = [], 0
        return self._counts


class UsualValues:
    """The value that each entity was shown with most often; of equal ones the smallest id."""

    def __init__(self, counts: PairCounts) -> None:
        chosen = np.empty(len(counts), dtype=np.int64)
        chosen = chosen[: _most_frequent(counts.entity, counts.count, chosen)]
        self._numbers = Numbering(counts.entity[chosen])
        self._value = np.append(counts.value[chosen], NONE)
        self._branch = np.append(counts.branch[chosen], NONE)

    def arrays(self) -> tuple[Ids, Ids, Ids]:
        """Entities with their usual value and its branch, shape (k,) each."""
        return self._numbers.ids, self._value[:-1], self._branch[:-1]

    def relation(self, namespace: str, entity: Ids, value: Ids, branch: Ids) -> Ids:
        """Ids of how rows stand to what is usual, shape (n,).

        `NONE` for rows without an entity or without a value, and of all rows where nothing is
        known yet: what every row of the first day has would be taken for a part of the rate.
        """
        if not self._numbers.count:
            return np.full(len(entity), NONE)
        number = self._numbers.find(entity)
        usual, usual_branch = self._value[number], self._branch[number]
        is_branch = (branch == usual_branch) & (branch != NONE)
        ids = {name: value_id(namespace, name) for name in (SAME, SAME_BRANCH, OTHER, NEW)}
        found = np.where(is_branch, ids[SAME_BRANCH], ids[OTHER])
        found = np.where(value == usual, ids[SAME], found)
        found = np.where(number < 0, ids[NEW], found)
        return np.where((entity == NONE) | (value == NONE), NONE, found)


@kernel
def _most_frequent(entity: Ids, count: Ids, chosen: Ids) -> int:
    """Find each entity's row of the largest count, the first of equal ones; tell how many."""
    entities = 0
    for row in range(len(entity)):
        if row == 0 or entity[row] != entity[row - 1]:
            chosen[entities] = row
            entities += 1
        elif count[row] > count[chosen[entities - 1]]:
            chosen[entities - 1] = row
    return entities

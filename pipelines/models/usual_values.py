"""What an entity is usually shown with, such as the category of a query's results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.features.ids import NONE, value_id
from pipelines.kernel import kernel, readonly
from pipelines.models.numbering import Numbering

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
        more = _distinct(entity[known], value[known], branch[known])
        joined = tuple(np.empty(len(self) + len(more), dtype=np.int64) for _ in range(4))
        count = _joined(self.arrays(), more.arrays(), joined)
        return PairCounts(*(array[:count] for array in joined))

    def arrays(self) -> tuple[Ids, Ids, Ids, Ids]:
        """Entity, value, branch and count of every pair."""
        return (
            readonly(self.entity, np.int64), readonly(self.value, np.int64),
            readonly(self.branch, np.int64), readonly(self.count, np.int64),
        )  # fmt: skip

    def most_frequent(self, most: int) -> PairCounts:
        """The `most` pairs of the largest counts, of equal ones the first; all if that is 0."""
        if not 0 < most < len(self):
            return self
        kept = np.sort(np.argsort(-self.count, kind="stable")[:most])
        return PairCounts(*(array[kept] for array in self.arrays()))


def _distinct(entity: Ids, value: Ids, branch: Ids) -> PairCounts:
    """The pairs of rows with their number, and the branch of the first row of each."""
    order = np.lexsort((value, entity))
    entity, value = entity[order], value[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (entity[1:] != entity[:-1]) | (value[1:] != value[:-1])
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(order)))
    return PairCounts(entity[starts], value[starts], branch[order[starts]], counts)


_ROWS_HELD = 2**20


class PairCounter:
    """Counts the pairs of rows as they come.

    Memory: 32 bytes a distinct pair, as much again while they grow, and 24 for a million rows.

    Parameters
    ----------
    most : int
        So many pairs are known in the end, and half as many again while rows come; 0: all.
    """

    def __init__(self, counts: PairCounts, most: int = 0) -> None:
        self._counts = counts
        self._most = most
        self._rows: list[tuple[Ids, Ids, Ids]] = []
        self._held = 0

    def add(self, entity: Ids, value: Ids, branch: Ids) -> None:
        """Count more rows, as `PairCounts.added` does."""
        # Copies: a view would hold all other columns of the rows too.
        self._rows.append((entity.copy(), value.copy(), branch.copy()))
        self._held += len(entity)
        if self._held >= _ROWS_HELD:
            self._take_in()
            if self._most and len(self._counts) > self._most + self._most // 2:
                self._counts = self._counts.most_frequent(self._most)

    def counts(self) -> PairCounts:
        """The pairs of all rows so far, those of the largest counts."""
        self._take_in()
        return self._counts.most_frequent(self._most)

    def _take_in(self) -> None:
        if self._rows:
            rows = (np.concatenate(part) for part in zip(*self._rows, strict=True))
            self._counts = self._counts.added(*rows)
            self._rows, self._held = [], 0


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
def _joined(
    one: tuple[Ids, Ids, Ids, Ids], other: tuple[Ids, Ids, Ids, Ids], joined: tuple[Ids, ...]
) -> int:
    """Merge pairs with their counts, each in order; of equal ones the branch is the first's."""
    left, right, count = 0, 0, 0
    while left < len(one[0]) or right < len(other[0]):
        compared = 0
        if right == len(other[0]):
            compared = -1
        elif left == len(one[0]):
            compared = 1
        else:
            for k in range(2):
                if compared == 0 and one[k][left] != other[k][right]:
                    compared = -1 if one[k][left] < other[k][right] else 1
        if compared <= 0:
            for k in range(4):
                joined[k][count] = one[k][left]
            left += 1
        if compared > 0:
            for k in range(4):
                joined[k][count] = other[k][right]
        if compared == 0:
            joined[3][count] += other[3][right]
        if compared >= 0:
            right += 1
        count += 1
    return count


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

"""Parts of a day: which rows of a large day are made together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int32]


def parts_of(rows: int, rows_a_part: int) -> int:
    """How many parts a day of so many rows has; at least one."""
    return max(1, -(-rows // rows_a_part))


def part_of(ids: pa.Array | pa.ChunkedArray, parts: int) -> Ints:
    """The part of each id: by its hash, so the same in every table and on every day.

    Parameters
    ----------
    ids : pyarrow.Array or pyarrow.ChunkedArray of string
        Without nulls.

    Returns
    -------
    numpy.ndarray of int32, shape (len(ids),)
        0 to parts - 1.
    """
    if parts == 1:
        return np.zeros(len(ids), np.int32)
    return part_of_hashes(hashes_of(ids), parts)


def by_user(rows: pa.Table) -> pa.ChunkedArray:
    """What the parts of traffic go by: the user, so that one task has his history; or any id."""
    return pc.coalesce(rows["user_id"], rows["impression_id"])


def hashes_of(ids: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The hashes by which ids have their part, shape (len(ids),)."""
    # Kernels take a second to load, and whoever only lists tables needs none.
    from pipelines.features.xxhash import xxhash64

    return xxhash64(ids).view(np.int64)


def part_of_hashes(hashes: npt.NDArray[np.int64], parts: int) -> Ints:
    """The part of each id by its hash, shape (n,)."""
    return (hashes.view(np.uint64) % np.uint64(parts)).astype(np.int32)


@dataclass(frozen=True)
class Places:
    """Numbers of the parts of several days, one after the other: a partition of Spark each.

    Attributes
    ----------
    parts : mapping of date to int
        How many parts each day has.
    """

    parts: Mapping[date, int]

    @cached_property
    def all(self) -> list[tuple[date, int]]:
        """The day and part of each place."""
        return [(day, part) for day, count in self.parts.items() for part in range(count)]

    @cached_property
    def first(self) -> dict[date, int]:
        """The place of each day's first part."""
        return {day: place for place, (day, part) in enumerate(self.all) if part == 0}


def is_of_part(ids: pa.Array | pa.ChunkedArray, part: int, parts: int) -> pa.Array:
    """Whether each id is of a part."""
    return pa.array(part_of(ids, parts) == part)


def part_in_order(keys: npt.NDArray[np.int64], parts: int) -> Ints:
    """The part of each key where parts follow each other: all keys of one are below the next's.

    Parameters
    ----------
    keys : numpy.ndarray of int64
        Hashes, so that parts are about as large.
    """
    upper = (keys >> np.int64(32)) + np.int64(2**31)
    return ((upper * parts) >> np.int64(32)).astype(np.int32)

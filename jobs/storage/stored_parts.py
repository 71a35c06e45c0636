"""How the days of a table are stored in parts, and rows as a part of it wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.day_file_writer import PART
from pipelines.features.id_rows import sorted_rows
from pipelines.packed_rows_spark import Placed, runs_by_place
from pipelines.parts import Ints, Places, part_in_order, part_of
from pipelines.units_spark import Batches


@dataclass(frozen=True)
class Parts:
    """How the days of a table are stored in parts.

    Attributes
    ----------
    of_day : mapping of date to int
        How many parts each day has.
    place : callable
        Gives the part of each row of a day, among so many: ``place(rows, parts)``.
    gather : callable, optional
        Makes the rows of a whole part of what several units have made of it.
    is_moved : bool
        Whether several units make rows of a part, which Spark brings together; else the one unit
        writes all parts.
    """

    of_day: Mapping[date, int]
    place: Callable[[pa.Table, int], Ints]
    gather: Callable[[pa.Table], pa.Table] | None = None
    is_moved: bool = True

    @classmethod
    def by_hash(cls, of_day: Mapping[date, int], key: str) -> Parts:
        """Rows by the hash of a column of text, in its order."""
        return cls(
            of_day, lambda rows, count: part_of(rows[key], count), lambda rows: rows.sort_by(key)
        )

    @classmethod
    def in_order(cls, of_day: Mapping[date, int], key: str) -> Parts:
        """Rows in the order of a column of 64-bit hashes, part after part."""
        return cls(
            of_day,
            lambda rows, count: part_in_order(rows[key].to_numpy(), count),
            lambda rows: sorted_rows(rows, key),
        )


ONE_PART = Parts({}, lambda rows, count: np.zeros(len(rows), np.int32))
"""Of tables whose days are never cut."""


def placed_rows(rows: pa.Table, places: Places, parts: Parts) -> Placed:
    """Rows of any days, with their places."""
    for day in pc.unique(rows["ds"]).to_pylist():
        of_day = rows.filter(pc.equal(rows["ds"], day))
        yield places.first[day] + parts.place(of_day, places.parts[day]), of_day


def rows_in_parts(rows: pa.Table, places: Places, parts: Parts) -> Batches:
    """Rows by part, each with the number of its part."""
    for placed, of_day in placed_rows(rows, places, parts):
        for place, own in runs_by_place(of_day, placed):
            _, part = places.all[place]
            yield from own.append_column(PART, pa.repeat(pa.scalar(part), len(own))).to_batches()


def rows_of_place(rows: pa.Table, place: int, places: Places, parts: Parts) -> Batches:
    """What is written of the rows of a place."""
    made = rows if parts.gather is None else parts.gather(rows)
    _, part = places.all[place]
    yield from made.append_column(PART, pa.repeat(pa.scalar(part), len(made))).to_batches()

"""History: window sums per entity as of a day's end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import with_day

SURFACES = ("search", "promoted")
# What is summed, by the column of `entity_counts` that holds it.
_SOURCES = {
    "impressions": "impressions",
    "clicks": "clicks",
    "expected_micro": "expected_clicks_micro",
}
SUMS = tuple(f"{surface}_{what}" for surface in SURFACES for what in _SOURCES)
USER = "user"
HISTORY_ENTITIES = ("listing", "shop", "category", "query", USER)
COUNT_COLUMNS = ("entity_type", "entity_id", "surface", *_SOURCES.values())

Integers = npt.NDArray[np.int64]
Counts = Callable[[date], pa.Table]
"""Reads `COUNT_COLUMNS` of a day's `entity_counts`, unique by entity and surface."""


@dataclass(frozen=True)
class Windows:
    """Days that count, by surface."""

    search: int
    promoted: int

    def of(self, surface: str) -> int:
        """The days of a surface."""
        return self.search if surface == "search" else self.promoted

    def before(self, day: date) -> list[date]:
        """All days of the windows that end the day before, ascending."""
        longest = max(self.search, self.promoted)
        return [day - timedelta(days=back) for back in range(longest, 0, -1)]


def of_type(rows: pa.Table, entity: str) -> pa.Table:
    """The rows of one entity type."""
    return rows.filter(pc.equal(rows["entity_type"], entity))


def history_before(
    days: Sequence[date], counted: Collection[date], read: Counts, windows: Windows
) -> Iterator[pa.Table]:
    """Window sums ending the day before, for the entities of each day.

    The windows slide: each day's counts are added once and taken off when they are too old. Only
    entities of the days to make are held.

    Parameters
    ----------
    days : sequence of date
        The days to make, ascending.
    counted : collection of date
        The days that have counts, `days` among them.

    Yields
    ------
    pyarrow.Table
        Columns of `entity_history`, one table per day to make and entity type.
    """
    ids = _entities_of(read(day) for day in days)
    sliding = {entity: _SlidingSums(ids[entity], windows) for entity in HISTORY_ENTITIES}
    needed = {past_day for day in days for past_day in windows.before(day)} | set(days)
    for day in sorted(needed & set(counted)):
        counts = read(day)
        for entity, sums in sliding.items():
            of_entity = of_type(counts, entity)
            if day in days:
                yield _with_type(entity, sums.before(day, of_entity["entity_id"].unique()), day)
            if day != days[-1]:
                sums.add(day, of_entity)


def _entities_of(counts: Iterable[pa.Table]) -> dict[str, pa.Array]:
    """The distinct ids of each entity type."""
    ids: dict[str, list[pa.Array]] = defaultdict(lambda: [pa.array([], pa.string())])
    for table in counts:
        for entity in HISTORY_ENTITIES:
            ids[entity].append(of_type(table, entity)["entity_id"].unique())
    return {entity: pa.concat_arrays(ids[entity]).unique() for entity in HISTORY_ENTITIES}


class _SlidingSums:
    """Sums of one entity type over the windows before a day that moves on."""

    def __init__(self, ids: pa.Array, windows: Windows) -> None:
        self.ids = ids
        self.windows = windows
        self.sums: Integers = np.zeros((len(ids), len(SUMS)), dtype=np.int64)
        self.added: dict[tuple[str, date], tuple[Integers, Integers]] = {}

    def add(self, day: date, counts: pa.Table) -> None:
        """Add a day's counts, later than all before."""
        for surface in SURFACES:
            of_surface = counts.filter(pc.equal(counts["surface"], surface))
            places = pc.index_in(of_surface["entity_id"], self.ids)
            known = of_surface.filter(pc.is_valid(places))
            codes = np.asarray(places.drop_null()).astype(np.int64)
            values = np.stack([np.asarray(known[name]) for name in _SOURCES.values()], axis=1)
            self.sums[codes, _columns(surface)] += values
            self.added[surface, day] = (codes, values)

    def before(self, day: date, ids: pa.Array) -> pa.Table:
        """Entity ids and `SUMS` of the windows that end the day before."""
        for surface, old_day in [
            key for key in self.added if (day - key[1]).days > self.windows.of(key[0])
        ]:
            codes, values = self.added.pop((surface, old_day))
            self.sums[codes, _columns(surface)] -= values
        sums = self.sums[np.asarray(pc.index_in(ids, self.ids))]
        return pa.table({"entity_id": ids, **{name: sums[:, k] for k, name in enumerate(SUMS)}})


def _columns(surface: str) -> slice:
    """The columns of a matrix of `SUMS` that belong to a surface."""
    start = SURFACES.index(surface) * len(_SOURCES)
    return slice(start, start + len(_SOURCES))


def _with_type(entity: str, sums: pa.Table, day: date) -> pa.Table:
    kind = pa.repeat(pa.scalar(entity, pa.string()), len(sums))
    return with_day(sums.add_column(0, "entity_type", kind), day)


def window_to(
    day: date,
    counted: Collection[date],
    read: Counts,
    windows: Windows,
    entities: Collection[str] = HISTORY_ENTITIES,
) -> pa.Table:
    """Window sums ending with `day` itself, for scoring what is shown after it.

    Parameters
    ----------
    counted : collection of date
        The days that have counts.

    Returns
    -------
    pyarrow.Table
        Columns of `entity_history`, ds = `day`: every entity that has a count in the longest of
        the windows.
    """
    following = day + timedelta(days=1)
    keys = ["entity_type", "entity_id"]
    kinds = [(name, pa.string()) for name in keys] + [(name, pa.int64()) for name in SUMS]
    parts = [pa.schema(kinds).empty_table()]
    for past_day in windows.before(following):
        if past_day not in counted:
            continue
        counts = read(past_day)
        wanted = counts.filter(pc.is_in(counts["entity_type"], pa.array(sorted(entities))))
        columns = {name: wanted[name] for name in keys}
        for surface in SURFACES:
            is_inside = (following - past_day).days <= windows.of(surface)
            counts_here = pc.and_(pc.equal(wanted["surface"], surface), is_inside)
            for what, source in _SOURCES.items():
                columns[f"{surface}_{what}"] = pc.if_else(counts_here, wanted[source], 0)
        parts.append(pa.table(columns))
    summed = (
        pa.concat_tables(parts)
        .group_by(keys, use_threads=False)
        .aggregate([(name, "sum") for name in SUMS])
        .rename_columns({f"{name}_sum": name for name in SUMS})
        .select([*keys, *SUMS])
    )
    return with_day(summed, day)

"""What a table's Delta log says of its files, and what it is told of new ones."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs.storage.day_files import DataFile, address_of
from jobs.storage.store_files import is_remote, is_there, open_object

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction

_ENDINGS = (".json", ".parquet")
_FIRST = 10
"""Names that tell whether a folder holds a log: the first may be that of the folder itself."""


def has_log(path: str) -> bool:
    """Whether there is a table, or something that was one."""
    if not is_remote(path):
        # delta-rs would read all names, of which an old table has thousands.
        try:
            with os.scandir(f"{path}/_delta_log") as entries:
                return any(entry.name.endswith(_ENDINGS) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return False
    import obstore

    # delta-rs would make itself a client for this one question, at twenty times its cost.
    store, name = open_object(path)
    first = next(iter(obstore.list(store, prefix=f"{name}/_delta_log", chunk_size=_FIRST)), [])
    return any(found["path"].endswith(_ENDINGS) for found in first)


def is_newest(handle: DeltaTable, path: str) -> bool:
    """Whether no entry of a table's log follows the version that a handle is at.

    Entries follow each other without gaps, so one look says what delta-rs reads the folder for.
    """
    return not is_there(f"{path}/_delta_log/{handle.version() + 1:020d}.json")


def day_condition(days: Sequence[date]) -> str:
    """SQL condition for exactly these days; a range where they are contiguous."""
    ordered = sorted(set(days))
    if not ordered:
        raise ValueError("no days given")
    span = (ordered[-1] - ordered[0]).days + 1
    if span == len(ordered):
        return f"ds >= '{ordered[0]}' AND ds <= '{ordered[-1]}'"
    listed = ", ".join(f"'{day}'" for day in ordered)
    return f"ds IN ({listed})"


def logged_days(handle: DeltaTable) -> set[date]:
    """The days that have files."""
    return {_day(part["ds"]) for part in handle.partitions()}


def logged_rows(handle: DeltaTable) -> dict[date, int]:
    """Rows of each day; {} of a table without days."""
    rows: dict[date, int] = {}
    for day, count in _of_files(handle, "num_records"):
        rows[day] = rows.get(day, 0) + (count or 0)
    return rows


def logged_files(handle: DeltaTable, root: str, days: Sequence[date]) -> list[DataFile]:
    """The data files of days, by day and path.

    Parameters
    ----------
    root : str
        Address of the table's folder.
    """
    wanted = set(days)
    return sorted(
        DataFile(day, address_of(root, path), count or 0, size)
        for day, path, count, size in _of_files(handle, "path", "num_records", "size_bytes")
        if day in wanted
    )


def logged_entries(handle: DeltaTable, days: Sequence[date]) -> set[tuple[date, str]]:
    """The days among those given that have files, each with the path of every file."""
    wanted = set(days)
    return {(day, path) for day, path in _of_files(handle, "path") if day in wanted}


def _of_files(handle: DeltaTable, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Day and some columns of every file's entry; nothing of a table without days."""
    entries = pa.table(handle.get_add_actions(flatten=True))
    if "partition.ds" in entries.column_names:
        days = map(_day, entries["partition.ds"].to_pylist())
        # A log without any statistics has no column for them.
        none = [None] * len(entries)
        known = entries.column_names
        values = (entries[name].to_pylist() if name in known else none for name in columns)
        yield from zip(days, *values, strict=True)


def add_actions(written: pa.Table, time_ms: int) -> list[AddAction]:
    """Log entries of new files.

    Parameters
    ----------
    written : pyarrow.Table
        As of `day_files.WRITTEN`.
    time_ms : int
        When they were written, in milliseconds since 1970.
    """
    from deltalake.transaction import AddAction

    return [
        AddAction(
            path=file["path"],
            size=file["size"],
            partition_values={"ds": str(file["ds"])},
            modification_time=time_ms,
            data_change=True,
            stats=json.dumps({"numRecords": file["rows"]}),
        )
        for file in written.sort_by([("ds", "ascending"), ("path", "ascending")]).to_pylist()
    ]


def _day(value: object) -> date:
    """A partition value as the log gives it: a date, or its text."""
    return value if isinstance(value, date) else date.fromisoformat(str(value))

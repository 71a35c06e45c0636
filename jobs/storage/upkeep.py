"""Upkeep of a warehouse: fewer files, shorter logs, and nothing that no promise needs any more."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import fs

from jobs.setup.exits import InputMissing
from jobs.storage.commits import once
from jobs.storage.published import SCORES
from jobs.storage.reading import OF_PUBLICATIONS, publications, read_runs
from jobs.storage.store_files import open_root
from jobs.storage.tables import Tables
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from deltalake import DeltaTable

RECORDS = tuple(name for name, table in TABLES.items() if table.stage == "quality")
"""Tables that are appended to: their files are many and small. Those of days are whole."""
READ_BY_RUNS = ("runs", "quality_results")
"""Those that every run reads the past of."""
MANY_FILES = 100
"""So many small files of such a table make reading it cost as much as a short run."""
_LONG_LOG = 10
"""Entries since the last checkpoint that are worth another one."""
_HOURS = 24


@dataclass(frozen=True)
class Upkeep:
    """What was done to a table, or would be.

    Attributes
    ----------
    merged : int
        Small files that became part of larger ones.
    removed : int
        Files that no version within retention holds, those that were never committed included.
    entries : int
        Entries of the log that a checkpoint sums up.
    days : int
        Days whose rows were let go of; their files stay as long as older versions do.
    """

    table: str
    merged: int
    removed: int
    entries: int
    days: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.merged or self.removed or self.entries or self.days)


def merge_records(tables: Tables, name: str) -> int:
    """Merge the small files of a table that is appended to; give how many there were.

    Rows, and what every older version holds, stay as they are.
    """
    handle = tables.delta(name)
    done = handle.optimize.compact(commit_properties=once())
    return int(done["numFilesRemoved"])


def keep_records_short(tables: Tables) -> None:
    """Merge what every run reads where that has become dear; the caller holds the lock."""
    from deltalake.exceptions import CommitFailedError

    for name in READ_BY_RUNS:
        if tables.exists(name) and _mergeable(tables.delta(name)) > MANY_FILES:
            # Results of checks are added without the lock, too: then another run merges them.
            with suppress(CommitFailedError):
                merge_records(tables, name)
                tables.delta(name).create_checkpoint()


def maintain(
    tables: Tables,
    names: Iterable[str],
    *,
    let_go: Mapping[str, date] | None = None,
    dry_run: bool = False,
) -> list[Upkeep]:
    """Merge, checkpoint and vacuum tables; the caller holds the lock.

    Files of versions within the retention that a table declares stay, so what `runs` names can be
    read for that long.

    Parameters
    ----------
    let_go : mapping of str to date, optional
        Tables whose rows up to a day go.
    dry_run : bool
        Say what would be done, and do nothing.
    """
    last = let_go or {}
    return [
        _maintain(tables, name, last.get(name, date.min), dry_run=dry_run)
        for name in names
        if tables.exists(name)
    ]


def _maintain(tables: Tables, name: str, let_go: date, *, dry_run: bool) -> Upkeep:
    merged = 0
    old = sorted(day for day in tables.days(name) if day <= let_go)
    if old and not dry_run:
        tables.delete_days(name, old)
    if name in RECORDS:
        merged = _mergeable(tables.delta(name)) if dry_run else merge_records(tables, name)
    handle = tables.delta(name)
    entries = _since_checkpoint(tables, name)
    is_long = entries >= _LONG_LOG
    if not dry_run and is_long:
        handle.create_checkpoint()
    if not dry_run and (is_long or entries <= handle.version()):
        # Entries that are older than the table's retention, where a checkpoint sums them up.
        handle.cleanup_metadata()
    removed = handle.vacuum(
        retention_hours=TABLES[name].retention_days * _HOURS,
        dry_run=dry_run,
        # What a killed run has left is in no version.
        full=True,
        keep_versions=_published_versions(tables) if name == SCORES else None,
    )
    return Upkeep(name, merged, len(removed), entries if is_long else 0, len(old))


def _published_versions(tables: Tables) -> list[int]:
    """Versions that publications of the days of retention name, and that are there.

    Rows that somebody went back to may have been replaced before the days of retention.
    """
    since = datetime.now(UTC) - timedelta(days=TABLES[SCORES].retention_days)
    recent = [
        row
        for row in publications(read_runs(tables, OF_PUBLICATIONS)).values()
        if row["ended"] >= since
    ]
    named = {row["versions_in"][SCORES] for row in recent if SCORES in row["versions_in"]}
    found = []
    for version in sorted(named):
        with suppress(InputMissing):
            found.append(tables.delta_at(SCORES, version).version())
    return found


def _mergeable(handle: DeltaTable) -> int:
    """Files of partitions that hold more than one; a table that is full of large ones has none."""
    entries = pa.table(handle.get_add_actions(flatten=True))
    days = entries["partition.ds"] if "partition.ds" in entries.column_names else None
    if days is None:
        return entries.num_rows if entries.num_rows > 1 else 0
    counts = days.value_counts().to_pylist()
    return sum(one["counts"] for one in counts if one["counts"] > 1)


def _since_checkpoint(tables: Tables, name: str) -> int:
    """Entries of the log after its last checkpoint; all where there is none."""
    filesystem, path = open_root(f"{tables.address(name)}/_delta_log/_last_checkpoint")
    last = -1
    if filesystem.get_file_info(path).type is fs.FileType.File:
        with filesystem.open_input_stream(path) as file:
            last = json.loads(file.read())["version"]
    return tables.version(name) - last

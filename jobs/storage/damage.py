"""Damage to stored tables: a disk that lost power leaves log entries that are empty or cut short.

Files may be lost as well. `mending` goes back to what is whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import fs

from jobs.setup.exits import UsageError
from jobs.setup.problems import said_of
from jobs.setup.store_errors import store_cause
from jobs.storage.day_files import address_of
from jobs.storage.store_files import open_root

if TYPE_CHECKING:
    from deltalake import DeltaTable

_OF_LOGS = (
    "Json error", "No table metadata or protocol", "Expected contiguous commit files",
    "Invalid Checkpoint", "Parquet error",
)  # fmt: skip


class TableDamaged(UsageError):
    """A table cannot be read as it was written; somebody has to look, then one command mends it."""


@dataclass(frozen=True)
class Damage:
    """What is damaged in a table.

    Attributes
    ----------
    entries : tuple of int
        Versions whose log entries are empty, cut short or lost.
    last : int
        The last version before all of them; -1 where there is none.
    files : tuple of str
        Data files of the newest whole version that are lost or cut short.
    days : frozenset of date
        Their days.
    """

    table: str
    entries: tuple[int, ...] = ()
    last: int = -1
    files: tuple[str, ...] = ()
    days: frozenset[date] = frozenset()

    def __str__(self) -> str:
        parts = []
        if self.entries:
            some = ", ".join(map(str, self.entries[:5]))
            parts.append(f"log entry {some} of {self.table} cannot be read")
        if self.files:
            parts.append(
                f"{len(self.files)} files of {self.table} are lost, such as {self.files[0]}"
            )
        return "; ".join(parts)


@contextmanager
def told_if_damaged(path: str) -> Iterator[None]:
    """Say of a log that cannot be read what mends it.

    Raises
    ------
    TableDamaged
    """
    try:
        yield
    except Exception as problem:
        if any(mark in str(problem) for mark in _OF_LOGS) and not store_cause(problem):
            raise TableDamaged(
                f"the log of {path} is damaged ({said_of(problem)[:200]}): `promoted-ctr mend` "
                "goes back to what is whole, then run again"
            ) from problem
        raise


def refuse_empty_entries(root: str, names: Iterable[str]) -> None:
    """Refuse tables with an empty log entry, which readers take for a commit without rows.

    Raises
    ------
    TableDamaged
    """
    for name in names:
        log = LogFolder.of(root, name)
        for version, info in log.entries.items():
            if not info.size and version > log.checkpoint:
                raise TableDamaged(
                    f"the log of {root}/{name} is damaged (entry {version} is empty): "
                    "`promoted-ctr mend` goes back to what is whole, then run again"
                )


def damage_of(root: str, name: str) -> Damage:
    """Look at a table's log and at all files of its newest whole version."""
    from deltalake import DeltaTable

    log = LogFolder.of(root, name)
    entries, after = log.entries, log.checkpoint
    path = f"{root.rstrip('/')}/{name}"
    if not opens(path, None) and not opens(path, after if after >= 0 else None):
        after = -1
    wrong = [
        version
        for version in range(after + 1, max(entries, default=-1) + 1)
        if version not in entries or not _is_whole(root, name, entries[version])
    ]
    last = min(wrong) - 1 if wrong else max(entries, default=-1)
    if last < 0:
        return Damage(name, tuple(wrong))
    handle = DeltaTable(path, version=last) if wrong else DeltaTable(path)
    files, days = _lost_files(handle, root, name)
    return Damage(name, tuple(wrong), last, files, days)


@dataclass(frozen=True)
class LogFolder:
    """What lies in the folder of a table's log.

    Attributes
    ----------
    entries : mapping of int to FileInfo
        By version.
    checkpoint : int
        The version that the last checkpoint sums up; -1 without any.
    """

    entries: dict[int, fs.FileInfo]
    checkpoint: int

    @classmethod
    def of(cls, root: str, name: str) -> LogFolder:
        """Look."""
        filesystem, path = open_root(f"{root.rstrip('/')}/{name}/_delta_log")
        infos = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        named = {info.base_name: info for info in sorted(infos, key=lambda info: info.base_name)}
        entries = {int(n[:20]): i for n, i in named.items() if re.fullmatch(r"\d{20}\.json", n)}
        sums = [int(n[:20]) for n, i in named.items() if ".checkpoint." in n and i.size]
        return cls(entries, max(sums, default=-1))


def opens(path: str, version: int | None) -> bool:
    """Whether a version of a table, the newest by default, can be read."""
    from deltalake import DeltaTable

    try:
        DeltaTable(path, version=version)
    except Exception as problem:
        if any(mark in str(problem) for mark in _OF_LOGS):
            return False
        raise
    return True


def _is_whole(root: str, name: str, info: fs.FileInfo) -> bool:
    filesystem, _ = open_root(root)
    with filesystem.open_input_stream(info.path) as stream:
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    try:
        actions = [json.loads(line) for line in lines]
    except ValueError:
        return False
    return any("commitInfo" in action for action in actions)


def _lost_files(
    handle: DeltaTable, root: str, name: str
) -> tuple[tuple[str, ...], frozenset[date]]:
    """Files that the log names and that are not there, or have another size."""
    table = f"{root.rstrip('/')}/{name}"
    entries = pa.table(handle.get_add_actions(flatten=True)).to_pylist()
    if not entries:
        return (), frozenset()
    filesystem, _ = open_root(table)
    found = filesystem.get_file_info([open_root(address_of(table, e["path"]))[1] for e in entries])
    sizes = zip(entries, found, strict=True)
    lost = [
        e for e, info in sizes if info.type is not fs.FileType.File or info.size != e["size_bytes"]
    ]
    days = {e["partition.ds"] for e in lost if e.get("partition.ds") is not None}
    as_dates = {day if isinstance(day, date) else date.fromisoformat(str(day)) for day in days}
    return tuple(sorted(e["path"] for e in lost)), frozenset(as_dates)

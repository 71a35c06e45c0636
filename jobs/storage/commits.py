"""Commits of which each follows what its writer had seen, or fails.

Delta by itself refuses one of two overlapping overwrites, but takes both of two writers who saw a
day as empty: the day would hold its rows twice. So every commit names the version that it follows,
and the store takes one file of that name only. Who comes second looks at what came between.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from jobs.setup.exits import LockHeld
from jobs.storage.delta_log import logged_entries

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable

ATTEMPTS = 30
"""How often a writer of other days may come first; more means that somebody writes all the time."""
_LONGEST_WAIT_S = 0.2


def once() -> CommitProperties:
    """Have delta-rs commit right after the version that its handle is at, or not at all."""
    from deltalake import CommitProperties

    return CommitProperties(max_commit_retries=0)


def commit_after(
    handle: DeltaTable,
    seen: int | None,
    days: Sequence[date] | None,
    write: Callable[[DeltaTable], None],
) -> int:
    """Write days of a table unless somebody else has changed them.

    Parameters
    ----------
    handle : DeltaTable
        At the newest version that is known.
    seen : int or None
        The version at which the writer looked at the table; None where nothing that others write
        is of any concern.
    days : sequence of date or None
        None where any change by somebody else is one too many.
    write : callable
        Commits `once` to the handle that it is given. Called again where a writer of other days
        came first.

    Returns
    -------
    int
        The version written.

    Raises
    ------
    LockHeld
        Somebody else has written.
    """
    from deltalake.exceptions import CommitFailedError

    for attempt in range(ATTEMPTS):
        if seen is not None:
            refuse_changed(handle, seen, days)
        follows = handle.version()
        try:
            write(handle)
            if handle.version() == follows:
                handle.update_incremental()
            return follows + 1
        except CommitFailedError:
            handle.update_incremental()
            if handle.version() == follows:
                raise
        # Two who wait equally long meet again.
        time.sleep(random.uniform(0, min(_LONGEST_WAIT_S, 0.01 * 2**attempt)))  # noqa: S311
    raise LockHeld(f"{_name(handle)}: others write without end; run again when they are done")


def refuse_changed(handle: DeltaTable, seen: int, days: Sequence[date] | None = None) -> None:
    """Refuse to go on where somebody else has changed days of a table, or with None anything.

    Raises
    ------
    LockHeld
    """
    from deltalake import DeltaTable

    if handle.version() == seen:
        return
    changed = ""
    if days is not None:
        then = logged_entries(DeltaTable(handle.table_uri, version=seen), days)
        now = logged_entries(handle, days)
        touched = sorted({day for day, _ in then ^ now})
        if not touched:
            return
        changed = f" {touched[0]}" if len(touched) == 1 else f" {touched[0]} to {touched[-1]}"
    raise LockHeld(
        f"another run has written{changed} to {_name(handle)} meanwhile: nothing of this step "
        "counts; run again when the other has ended"
    )


def _name(handle: DeltaTable) -> str:
    return handle.metadata().name or handle.table_uri

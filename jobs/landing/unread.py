"""What lies beside a day's files and is not read: waited for, or counted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from jobs.landing.files import BEING_WRITTEN
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing
from schemas.logs import LOGS

_SHOWN = 3
"""Files that `runs` names; all are counted, and check-source lists them."""


def require_finished(source: Source, days: Sequence[date]) -> None:
    """Stop while a file of a day is still being written.

    Raises
    ------
    InputMissing
    """
    for file in (file for log in LOGS for file in source.unread(log, days)):
        if file.why == BEING_WRITTEN:
            raise InputMissing(
                f"landing file {source.landing.root}/{file.name} is still being written: wait for "
                "it, or remove it if nothing writes it any more"
            )


def nothing_landed(source: Source, day: date) -> str:
    """The message for a day without a file that is read."""
    beside = [file for log in LOGS for file in source.unread(log, [day])]
    more = f"; {len(beside)} files beside are not read: {beside[0]}" if beside else ""
    return f"no log has landed for {day} under {source.landing.root}{more}"


def unread(source: Source, log: str, day: date) -> dict[str, Any]:
    """For the record: files beside those of a log and day; nothing where there are none."""
    files = source.unread(log, [day])
    if not files:
        return {}
    named = [str(file) for file in files[:_SHOWN]]
    return {"unread": {"files": len(files), "bytes": sum(f.size for f in files), "some": named}}

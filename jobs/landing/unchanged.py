"""Landing files that are another file by the time they have been read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

from jobs.landing.files import Landing
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing
from schemas.logs import LOGS


@contextmanager
def unchanged(source: Source, days: Sequence[date]) -> Iterator[None]:
    """Refuse what was made while a landing file of its days changed.

    A file may be read several times, and its rows are recorded as of the file that was planned.
    What else goes wrong with a file that changes, such as one cut short, is told as this.

    Raises
    ------
    InputMissing
        A file has been replaced, has grown, or has gone.
    """
    try:
        yield
    except Exception as problem:
        if changed := _changed(source, days):
            raise InputMissing(changed) from problem
        raise
    if changed := _changed(source, days):
        raise InputMissing(changed)


def _changed(source: Source, days: Sequence[date]) -> str:
    """The message for the first file that has changed; empty where none has."""
    landing = Landing(source.landing.root)
    for view in sorted({view for log in LOGS for view in _views(source, log)}):
        planned = {file.name: file for file in source.day_files(view, days)}
        now = {file.name: file for file in landing.look(source.spec.views[view].pattern)[0]}
        for name in sorted(planned):
            if now.get(name) != planned[name]:
                what = "has been replaced" if name in now else "has gone"
                return (
                    f"landing file {source.landing.root}/{name} {what} while it was read: "
                    "run again when it is whole"
                )
    return ""


def _views(source: Source, log: str) -> Sequence[str]:
    return source.spec.logs[log].views if log in source.spec.logs else ()

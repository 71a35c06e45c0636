"""A side warehouse: the tables of another one, on which something is tried that nobody reads.

Data files never change once they are written, so the side shares those of the main warehouse by
hard links: made in a moment, no bytes twice, and what either writes or removes later the other does
not see. The logs are copied, and what the side makes it commits to its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from jobs.setup.exits import UsageError
from jobs.storage.lock import WriterLock
from schemas.catalog import TABLES

MARK = ".side-of"
"""File of a side warehouse that names the main one."""
_LOG = "_delta_log"
_OWN = ("alerts",)
"""Tables that a side does not share: nobody is told of what is only tried."""


def make_side(main: str, side: str) -> bool:
    """Make a side warehouse, unless it is there.

    Returns
    -------
    bool
        Whether it was made.

    Raises
    ------
    UsageError
        One of them is in an object store, the main one is not there, or the folder of the side is
        in use for something else.
    """
    if "://" in main or "://" in side:
        raise UsageError("--side works on a disk: a warehouse in an object store shares no files")
    source, target = Path(main).resolve(), Path(side).resolve()
    if main_of(side) == str(source):
        return False
    if not (source / "runs" / _LOG).is_dir():
        raise UsageError(f"--side: there is no warehouse in {source}: run without it first")
    if target == source or source in target.parents or (target.exists() and any(target.iterdir())):
        raise UsageError(f"--side: {target} is in use: name a new folder beside {source}")
    making = target.with_name(f"{target.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    with WriterLock(main):
        for name in sorted(set(TABLES) - set(_OWN)):
            if (source / name / _LOG).is_dir():
                shutil.copytree(source / name, making / name, copy_function=_share)
    making.mkdir(parents=True, exist_ok=True)
    (making / MARK).write_text(f"{source}\n", encoding="utf-8")
    if target.exists():
        target.rmdir()
    making.rename(target)
    return True


def main_of(side: str) -> str:
    """The main warehouse of a side; empty where it is none."""
    mark = Path(side) / MARK
    return mark.read_text(encoding="utf-8").strip() if mark.is_file() else ""


def _share(source: str, target: str) -> str:
    """One more name of a data file; a copy of all else, and on another disk of everything."""
    if source.endswith(".parquet") and f"/{_LOG}/" not in source:
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
        return target
    return shutil.copy2(source, target)

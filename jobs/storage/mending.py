"""Mending damaged tables: what is damaged is taken out, and made again by the next run.

Nothing is guessed: a day whose rows may not be whole loses them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pyarrow import fs

from jobs.storage.creation import create_table
from jobs.storage.damage import Damage, LogFolder, opens
from jobs.storage.day_files import address_of
from jobs.storage.store_files import open_root
from schemas.catalog import TABLES

ASIDE = "_damaged"
"""Folder of the root for what is taken out of tables."""
_EMPTY = b'{"commitInfo":{"operation":"MEND"}}\n'


def mend(root: str, damage: Damage, confirm: Callable[[], None]) -> None:
    """Take out of a table what is damaged; the caller holds the lock.

    A table of days goes back to its last whole version. Of a table that is appended to, only what
    the damaged entries added is lost. What is taken out lies in `ASIDE` of the root.
    """
    from deltalake import DeltaTable

    name, path = damage.table, f"{root.rstrip('/')}/{damage.table}"
    confirm()
    if damage.entries:
        if TABLES[name].stage == "quality":
            _replace_entries(root, name, damage.entries)
        else:
            for version, info in LogFolder.of(root, name).entries.items():
                if version > damage.last:
                    _set_aside(root, name, info.path)
        _forget_checkpoint(root, name, damage.last)
    for file in damage.files:
        _set_aside(root, name, open_root(address_of(path, file))[1])
    if damage.last >= 0 or TABLES[name].stage == "quality":
        DeltaTable(path).repair()


def _set_aside(root: str, name: str, path: str) -> None:
    filesystem, base = open_root(root.rstrip("/"))
    if filesystem.get_file_info(path).type is not fs.FileType.File:
        return
    target = f"{base}/{ASIDE}/{name}/{path.rpartition('/')[2]}"
    filesystem.create_dir(target.rpartition("/")[0], recursive=True)
    filesystem.copy_file(path, target)
    filesystem.delete_file(path)


def _replace_entries(root: str, name: str, versions: Iterable[int]) -> None:
    """Put entries without rows in the place of damaged ones; those that create a table, as new."""
    filesystem, base = open_root(f"{root.rstrip('/')}/{name}/_delta_log")
    with tempfile.TemporaryDirectory() as temporary:
        create_table(f"{temporary}/{name}", TABLES[name])
        for version in versions:
            entry = f"{version:020d}.json"
            _set_aside(root, name, f"{base}/{entry}")
            new = Path(temporary, name, "_delta_log", entry)
            with filesystem.open_output_stream(f"{base}/{entry}") as stream:
                stream.write(new.read_bytes() if new.is_file() else _EMPTY)


def _forget_checkpoint(root: str, name: str, last: int) -> None:
    """Remove checkpoints of versions that are gone, or that cannot be read."""
    filesystem, base = open_root(f"{root.rstrip('/')}/{name}/_delta_log")
    whole = opens(f"{root.rstrip('/')}/{name}", None)
    for info in filesystem.get_file_info(fs.FileSelector(base)):
        is_one = ".checkpoint." in info.base_name and info.base_name[:20].isdigit()
        if is_one and (int(info.base_name[:20]) > last or not whole):
            _set_aside(root, name, info.path)
        if info.base_name == "_last_checkpoint" and not whole:
            _set_aside(root, name, info.path)

"""Creating Delta tables as they are declared, in a storage root that can be written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.setup.exits import UsageError
from jobs.setup.stores import check_store
from schemas.table import Table

if TYPE_CHECKING:
    from deltalake import DeltaTable


# What delta-rs takes for part of an address, and fails on or decodes: it would write elsewhere.
_UNFIT = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")


def check_root(root: str) -> None:
    """Refuse a local folder whose name Delta tables cannot be kept under.

    Raises
    ------
    UsageError
    """
    if "://" not in root and (unfit := _UNFIT.search(os.path.abspath(root))):
        raise UsageError(
            f"Delta tables cannot be kept in {os.path.abspath(root)}: its name has "
            f"{unfit.group()}; choose another --root"
        )


def check_writable(root: str) -> None:
    """Refuse a storage root that cannot be written, before any work.

    Raises
    ------
    UsageError
    """
    if "://" in root:
        check_store(root)
        return
    folder = Path(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise UsageError(
            f"cannot write to {folder}: {problem.strerror}; choose another --root"
        ) from None


def create_table(path: str, declared: Table) -> None:
    """Create a table that is not there yet, with constraints and column comments.

    Raises
    ------
    UsageError
        Its folder cannot be written.
    """
    from deltalake import DeltaTable, Schema

    if "://" not in path:
        try:
            Path(path).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise UsageError(
                f"cannot write to {Path(path).parent}: {problem.strerror}; choose another --root"
            ) from problem
    handle = DeltaTable.create(
        path,
        schema=Schema.from_json(declared.struct.json()),
        mode="ignore",
        partition_by=list(declared.partition_by),
        name=declared.name,
        description=f"One row per {declared.grain}.",
        configuration={
            **_retention(declared),
            # Days are found by partition; minima of ids would cost half of a write again.
            "delta.dataSkippingNumIndexedCols": "0",
        },
    )
    _add_constraints(handle, declared)


def _retention(declared: Table) -> dict[str, str]:
    return {
        "delta.deletedFileRetentionDuration": f"interval {declared.retention_days} days",
        "delta.logRetentionDuration": f"interval {declared.log_days} days",
    }


def complete_table(handle: DeltaTable, path: str, declared: Table) -> None:
    """See that a table that is there is the one declared, and whole.

    Columns that an older version of the code did not know are added, empty in the old rows: days
    are made again where a job's output version was raised, and records stay as they are.

    Raises
    ------
    UsageError
        It has columns that are not declared, or others of that name.
    """
    from deltalake import Field, Schema

    stored = {field.name: field.type for field in handle.schema().fields}
    wanted = {field.name: field for field in Schema.from_json(declared.struct.json()).fields}
    _refuse_other_columns(path, stored, {name: field.type for name, field in wanted.items()})
    lacking = [field for name, field in wanted.items() if name not in stored]
    if lacking:
        handle.alter.add_columns(
            [Field(f.name, f.type, nullable=True, metadata=f.metadata) for f in lacking]
        )
    # Creation is two commits: a run killed between them left no constraints.
    if handle.version() == 0:
        _add_constraints(handle, declared)
    retention, kept = _retention(declared), handle.metadata().configuration
    if any(kept.get(name) != value for name, value in retention.items()):
        handle.alter.set_table_properties(retention)


def _add_constraints(handle: DeltaTable, declared: Table) -> None:
    if declared.constraints:
        handle.alter.add_constraint(dict(declared.constraints))


def _refuse_other_columns(
    path: str, stored: Mapping[str, object], wanted: Mapping[str, object]
) -> None:
    changed = sorted(name for name, kind in stored.items() if wanted.get(name) != kind)
    if changed:
        raise UsageError(
            f"{path} was made by another version, with other columns ({', '.join(changed)}): "
            "choose another --root, or remove this table, and its days are made again"
        )

"""A digest of what each job writes on the tiny marketplace, with all that it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jobs import FLOW, Job
from jobs.setup.config_layers import load_config
from pipelines.simulation.config import SimulationConfig
from tests.support.world import Warehouse

STORED = Path(__file__).parent / "digests.json"
# Libraries of linear algebra differ from one processor to the next in the last digits.
SIGNIFICANT_DIGITS = 6
# It holds the modification times of the landing files.
WITHOUT = ("run_id",)
WHAT_TO_DO = (
    "First ask whether a promise broke: did anybody mean these rows to change? It begins with the",
    "first job named. If nobody did, mend the code, add to tests/unit the test of that promise,",
    "and leave this record as it is.",
    "Only where the change is meant: raise output_version in jobs/__init__.py of each job that",
    "writes other rows from the same input and settings, say in CHANGELOG.md what changes for a",
    "reader, and rebuild with `python -m tests.golden.rebuild`.",
)

Entry = dict[str, Any]


def job_digests(warehouse: Warehouse, world: SimulationConfig) -> dict[str, Entry]:
    """Per job: `output_version`, and digests of its `settings`, what it `reads` and `writes`."""
    config = load_config(environment={})
    tables = {table: table_digest(warehouse, table) for job in FLOW for table in job.writes}

    def entry(job: Job) -> Entry:
        read = {tables[read.table] for read in job.reads} or {world.world_hash()}
        return {
            "output_version": job.output_version,
            "settings": config.section_hash(job.sections),
            "reads": _digest(sorted(read)),
            "writes": {table: tables[table] for table in job.writes},
        }

    return {job.name: entry(job) for job in FLOW if job.writes}


def table_digest(warehouse: Warehouse, name: str) -> str:
    """A digest of all rows of a table, whatever their order."""
    found = warehouse.tables.read_arrow(name)
    found = found.drop_columns([column for column in WITHOUT if column in found.column_names])
    return _digest(sorted(repr(_rounded(row)) for row in found.to_pylist()))


def difference(name: str, stored: Entry | None, now: Entry) -> str | None:
    """What of a job is not as stored; None where all is."""
    if stored == now:
        return None
    if stored is None:
        return f"{name} has no stored digests"
    other = [part for part in ("output_version", "settings", "reads") if stored[part] != now[part]]
    if other:
        return f"{name} is made from other {', '.join(other)}"
    changed = [
        table for table in now["writes"] if stored["writes"].get(table) != now["writes"][table]
    ]
    return f"{name} writes other {', '.join(changed)} from the same input and settings"


def complaint(stored: Mapping[str, Entry], now: Mapping[str, Entry]) -> str | None:
    """What to ask, and then to do, about digests that are not the stored ones; None where all are.

    The question comes first: a rebuilt record agrees with whatever the code does.
    """
    told = [difference(job, stored.get(job), entry) for job, entry in now.items()]
    differences = [f"  {line}" for line in told if line]
    if not differences:
        return None
    return "\n".join(["the jobs do not make what they made:", *differences, *WHAT_TO_DO])


def read_stored() -> dict[str, Entry]:
    """The stored digests."""
    stored: dict[str, Entry] = json.loads(STORED.read_text())
    return stored


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

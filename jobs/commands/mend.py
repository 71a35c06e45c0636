"""`promoted-ctr mend`: find damage to stored tables, and go back to what is whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from rich.console import Console

from jobs import FLOW, WRITER
from jobs.commands.arguments import user
from jobs.planning.record import COMMITTED, FAILED, Attempt, Record, Records, now
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing
from jobs.step import DayRecord
from jobs.storage.damage import Damage, damage_of
from jobs.storage.lock import WriterLock
from jobs.storage.mending import ASIDE, mend
from jobs.storage.published import SCORES
from jobs.storage.reading import PUBLISH_JOB
from jobs.storage.tables import Tables
from pipelines.days import contiguous
from schemas.catalog import TABLES

EXAMPLES = f"""examples:
  promoted-ctr mend --dry-run    what is damaged
  promoted-ctr mend              mend it, and say what makes again what is lost

A disk that lost power leaves log entries that are empty or cut short; files may be lost. A table of
days goes back to its last whole version, `runs`, `quality_results` and `alerts` lose only what the
damaged entries added. What is taken out lies in {ASIDE} of the root until it is removed. What it
costs is on the record (promoted-ctr runs --status failed)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    parser.add_argument("--dry-run", action="store_true", help="say it, do nothing")
    parser.add_argument("--run-id", metavar="ID", help="name of this in the records")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Find, tell and mend damage.

    Raises
    ------
    InputMissing
        There is no warehouse.
    """
    there = [name for name in sorted(TABLES) if tables.exists(name)]
    if not there:
        raise InputMissing(f"there is no warehouse in {tables.root}")
    lock = WriterLock(tables.root, arguments.run_id or f"mend-{now():%Y%m%dT%H%M%S}")
    if arguments.dry_run:
        found = _found(tables, there)
    else:
        with lock:
            found = _found(tables, there)
            for damage in found:
                mend(tables.root, damage, lock.confirm)
            lost = _record(Tables(tables.root), found, arguments.run_id or "mend")
    for damage in found:
        console.print(str(damage), markup=False, highlight=False, soft_wrap=True)
    if not found:
        console.print(f"nothing to do: {len(there)} tables are whole", highlight=False)
    elif not arguments.dry_run:
        console.print("mended; a run makes again what it needs, and all that is lost:")
        for job, days in _ranges(lost):
            words = f"promoted-ctr {job} --start {days[0]} --end {days[-1]}"
            console.print(f"  {words}", markup=False, highlight=False, soft_wrap=True)
    return ExitCode.DONE


def _ranges(lost: Mapping[str, Iterable[date]]) -> Iterator[tuple[str, Sequence[date]]]:
    """Jobs in the order of the flow, with each range of their days."""
    for job in (job.name for job in FLOW if job.name in lost):
        for days in contiguous(lost[job]):
            yield job, days


def _found(tables: Tables, names: list[str]) -> list[Damage]:
    found = [damage_of(tables.root, name) for name in names]
    return [damage for damage in found if damage.entries or damage.files]


def _record(tables: Tables, found: Sequence[Damage], run_id: str) -> dict[str, dict[date, str]]:
    """Have no record claim rows that are lost; per job the days, each with what was damaged."""
    lost: dict[str, dict[date, str]] = {}
    if not found:
        return lost
    tables.create(["runs"])
    records = Records(tables)
    at = now()
    for (job, day), record in sorted(records.newest.items(), key=lambda item: item[0]):
        for damage in found:
            if job in _jobs_of(damage.table) and _is_lost(job, day, record, damage):
                lost.setdefault(job, {})[day] = str(damage)
    for job, days in lost.items():
        attempt = Attempt(run_id, job, at, "", {}, {})
        outcome = {
            day: DayRecord(details={"error": f"mended: {what}", COMMITTED: True, "who": user()})
            for day, what in days.items()
        }
        records.add(attempt.rows(outcome, {}, status=FAILED, exit_code=ExitCode.USAGE))
    return lost


def _jobs_of(table: str) -> set[str]:
    """Whose days a table's rows are; of scores also those that are published by their version."""
    jobs = {WRITER[table]} if table in WRITER else set()
    return jobs | {PUBLISH_JOB} if table == SCORES else jobs


def _is_lost(job: str, day: date, record: Record, damage: Damage) -> bool:
    """Whether a record is of rows that came after the last whole version, or lie in lost files."""
    named = record.versions_in if job == PUBLISH_JOB else record.versions
    is_later = bool(damage.entries) and int(named.get(damage.table, -1)) > damage.last
    return is_later or day in damage.days

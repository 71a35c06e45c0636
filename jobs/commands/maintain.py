"""`promoted-ctr maintain`: upkeep of the tables."""

from __future__ import annotations

import argparse
from datetime import date

from rich.console import Console
from rich.table import Table

from jobs.landing.typed_days import Aside
from jobs.planning.passing import PASSING, passed
from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing
from jobs.storage.lock import WriterLock
from jobs.storage.tables import Tables
from jobs.storage.upkeep import Upkeep, maintain
from schemas.catalog import TABLES

EXAMPLES = """examples:
  promoted-ctr maintain --dry-run    what would be done
  promoted-ctr maintain              once a week is enough

Rows stay as they are but samples, features and the joint model's rows of days further back than
storage.passing_days, which nothing reads any more. What any run of the last 90 days names can be
read as it was. While a run writes it ends with 30 and does nothing."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    parser.add_argument("--dry-run", action="store_true", help="say it, do nothing")
    parser.add_argument("--run-id", metavar="ID", help="name of this upkeep, for who writes")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Maintain every table that is there."""
    if not tables.exists("runs"):
        raise InputMissing(f"there is no warehouse in {tables.root}")
    run_id = arguments.run_id or f"maintain-{now():%Y%m%dT%H%M%S}"
    if arguments.dry_run:
        done = maintain(tables, sorted(TABLES), let_go=_let_go(config, tables), dry_run=True)
        _show(console, done, dry_run=True)
        return ExitCode.DONE
    lock = WriterLock(tables.root, run_id)
    tables.before_commit = lock.confirm
    with lock:
        done = maintain(tables, sorted(TABLES), let_go=_let_go(config, tables))
        Aside.of(tables).clear()
    _show(console, done, dry_run=False)
    return ExitCode.DONE


def _let_go(config: Config, tables: Tables) -> dict[str, date]:
    """The last day of each table of passing rows that is not kept."""
    last = passed(config.storage.passing_days, tables.days("impressions"))
    return dict.fromkeys(PASSING, last)


def _show(console: Console, done: list[Upkeep], *, dry_run: bool) -> None:
    worth = [upkeep for upkeep in done if not upkeep.is_idle]
    if not worth:
        console.print(f"nothing to do: {len(done)} tables are in order")
        return
    would = "would be " if dry_run else ""
    table = Table("table", box=None, pad_edge=False)
    for name in ("files merged", "files removed", "log entries summed up", "days let go"):
        table.add_column(f"{would}{name}" if dry_run else name, justify="right")
    for one in worth:
        table.add_row(
            one.table, *(f"{n:,}" for n in (one.merged, one.removed, one.entries, one.days))
        )
    console.print(table)

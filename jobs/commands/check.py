"""Check tables by rules: those of this project again, or any Delta or Parquet table of anybody."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import FLOW
from jobs.commands.arguments import iso_date
from jobs.planning.any_checks import check_any
from jobs.planning.checks import check, listed_causes, record, stop_if_blocked
from jobs.planning.own_quality import rules_for
from jobs.planning.record import now
from jobs.reporting.alerting import Teller, said_on
from jobs.reporting.expectations import CHECK, confirm, confirm_any, documents
from jobs.reporting.judgements import of_results
from jobs.reporting.report_folder import found_at, reports_at_hand
from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.tables import Tables
from pipelines.quality.results import QualityResult
from pipelines.quality.wording import figure

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = """examples:
  promoted-ctr check --date 2026-02-06          every stored table of the day, by its rules
  promoted-ctr check --date 2026-02-06 --table listings --table listing_scores
  promoted-ctr check --table /data/prices --rules prices.toml
  promoted-ctr check --table s3://bucket/prices --rules prices.toml --date 2026-02-06

With --rules nothing is recorded and nobody is told: the table may be anybody's."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags of the command ``check``."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--date", type=iso_date, metavar="D", help="day; with --rules by default the newest"
    )
    parser.add_argument(
        "--table", dest="names", action="append", metavar="NAME",
        help="stored table, repeatable (default: all); with --rules the address of any table",
    )  # fmt: skip
    parser.add_argument("--rules", metavar="FILE", type=Path, help="rules of any table")
    parser.add_argument(
        "--day-column",
        metavar="COLUMN",
        help="its days, with --rules; default: ds, if there",
    )
    parser.add_argument(
        "--documents", metavar="DIR", type=Path,
        help="for those of Great Expectations, with --rules; default: beside the reports",
    )  # fmt: skip
    parser.add_argument("--run-id", metavar="ID", help="name of this run in the records")
    parser.add_argument(
        "--dry-run", action="store_true", help="record nothing; say which alerts would be sent"
    )


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Check tables and show the results."""
    run_id = arguments.run_id or f"check-{now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    if arguments.rules is not None:
        return _any(arguments, config, tables, console, run_id)
    for name in ("day_column", "documents"):
        if getattr(arguments, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} goes with --rules")
    if arguments.date is None:
        raise UsageError("say the day with --date, or the rules of any table with --rules")
    known = rules_for(config)
    unknown = sorted(set(arguments.names or ()) - set(known))
    if unknown:
        raise UsageError(f"no quality rules for {', '.join(unknown)}; there are "
                         f"{', '.join(known)}; another table needs --rules")  # fmt: skip
    names = [table for job in FLOW for table in job.writes]
    wanted = [name for name in names if name in (arguments.names or known)]
    results = check(tables, config, run_id, wanted, [arguments.date])
    said: Sequence[QualityResult] = ()
    page = ""
    if not arguments.dry_run:
        record(tables, results)
        with reports_at_hand(config) as local:
            said = confirm(tables, local, run_id, arguments.date)
            page = found_at(documents(local, arguments.date), local, config) if said else ""
    _show(console, results, said, page)
    teller = Teller(tables, config, said_on(console), run_id=run_id, dry_run=arguments.dry_run)
    causes = listed_causes(conf_directory())
    teller.tell(of_results([*results, *said], known, causes, config.alerts.severity))
    stop_if_blocked(results)
    return ExitCode.DONE


def _any(
    arguments: argparse.Namespace, config: Config, tables: Tables, console: Console, run_id: str
) -> int:
    if len(arguments.names or ()) > 1:
        raise UsageError("--rules is about one table: give one --table")
    address = (arguments.names or [None])[0]
    name, results = check_any(
        tables, config, arguments.rules, address,
        day=arguments.date, day_column=arguments.day_column, run_id=run_id,
    )  # fmt: skip
    with reports_at_hand(config) as local:
        folder = arguments.documents or Path(local.storage.reports) / "checked" / name
        said = [] if arguments.dry_run else confirm_any(config, results, run_id, folder)
        page = found_at(folder / "index.html", local, config) if said else ""
    _show(console, results, said, page)
    stop_if_blocked(results, "stopped by quality")
    return ExitCode.DONE


def _show(
    console: Console,
    results: Sequence[QualityResult],
    said: Sequence[QualityResult],
    page: str,
) -> None:
    from rich.table import Table

    verdicts = [r for r in said if r.check == CHECK]
    rows = [*results, *(r for r in said if r not in verdicts)]
    by_table = len({r.table for r in rows}) > 1
    shown = Table(box=None, pad_edge=False)
    for column in ("check", "status", "observed", "expected", "details"):
        shown.add_column(column, overflow="fold")
    for r in rows:
        name = f"{r.table}.{r.check}" if by_table else r.check
        shown.add_row(
            f"{name} ({r.slice})" if r.slice else name,
            r.status,
            figure(r.observed),
            r.expected,
            r.details or "",
        )
    console.print(shown)
    for r in verdicts:
        console.print(f"Great Expectations: {r.details}", highlight=False, markup=False)
    if page:
        console.print(f"documents: {page}", highlight=False, markup=False, soft_wrap=True)

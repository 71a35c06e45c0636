"""Check stored tables of a day again by the rules of conf/quality, and show every result."""

from __future__ import annotations

import argparse
import uuid
from typing import TYPE_CHECKING

from jobs import FLOW
from jobs.commands.arguments import iso_date
from jobs.planning.checks import check, listed_causes, record, rules_of, stop_if_blocked
from jobs.planning.record import now
from jobs.reporting.alerting import Teller
from jobs.reporting.judgements import of_results
from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.tables import Tables

if TYPE_CHECKING:
    from rich.console import Console

EXAMPLES = """examples:
  promoted-ctr check-quality --date 2026-02-06
  promoted-ctr check-quality --date 2026-02-06 --table listings --table listing_scores"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags of the command ``check-quality``."""
    parser.epilog = EXAMPLES
    parser.add_argument("--date", type=iso_date, required=True, metavar="D", help="log day")
    parser.add_argument(
        "--table", dest="names", action="append", metavar="NAME", help="repeatable; default: all"
    )
    parser.add_argument("--run-id", metavar="ID", help="name of this run in the records")
    parser.add_argument(
        "--dry-run", action="store_true", help="record nothing; say which alerts would be sent"
    )


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Check stored tables of a day again and show the results."""
    from rich.table import Table

    known = list(rules_of(conf_directory() / "quality"))
    unknown = sorted(set(arguments.names or ()) - set(known))
    if unknown:
        raise UsageError(f"no quality rules for {', '.join(unknown)}; there are {', '.join(known)}")
    run_id = arguments.run_id or f"check-{now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    names = [table for job in FLOW for table in job.writes]
    wanted = [name for name in names if name in (arguments.names or known)]
    results = check(tables, config, run_id, wanted, [arguments.date])
    if not arguments.dry_run:
        record(tables, results)
    shown = Table("table", "check", "slice", "status", "observed", "expected", "details")
    for result in results:
        observed = "" if result.observed is None else f"{result.observed:.6g}"
        shown.add_row(
            result.table, result.check, result.slice, result.status, observed, result.expected,
            result.details or "",
        )  # fmt: skip
    console.print(shown)
    teller = Teller(tables, config, console.print, run_id=run_id, dry_run=arguments.dry_run)
    conf = conf_directory()
    rules, causes = rules_of(conf / "quality"), listed_causes(conf)
    teller.tell(of_results(results, rules, causes, config.alerts.severity))
    stop_if_blocked(results)
    return ExitCode.DONE

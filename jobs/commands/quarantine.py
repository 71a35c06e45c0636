"""`promoted-ctr quarantine`: which rows were refused, and taking them in when it is mended."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.commands.arguments import add_common_of_action, iso_date, user
from jobs.reporting.refused_rows import RefusedRows, count_refused, read_refused
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.tables import Tables
from pipelines.logs.reasons import REASONS
from pipelines.quality.alert_text import plain
from pipelines.quality.wording import number
from schemas.logs import LOGS

EXAMPLES = """examples:
  promoted-ctr quarantine                                     all days: how many, and why
  promoted-ctr quarantine --date 2026-02-06 --rows 3          with three rows of every reason
  promoted-ctr quarantine --reason oversized_string --format json
  promoted-ctr quarantine replay --date 2026-02-06 --why "ids may be longer now" \\
      --set ingest.max_string_bytes=8192
  promoted-ctr quarantine replay --date 2026-02-06 --why "times were in ms" --select clicks=ms.sql

What `replay` does: a mended source, rule or landing file makes the day again, from its landing
files or, where these are gone, from the stored rows and the refused ones. --select mends refused
rows: the SELECT reads the view `refused` (the log's columns as text, `raw`, `reasons`, `ds`,
`refused_row`) and yields the log's columns, `ds` and `refused_row`. Rows come in once; what is
still wrong stays refused."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.description = "Show refused rows by day, log and reason."
    parser.epilog = EXAMPLES
    _add_choice(parser)
    parser.add_argument("--rows", type=int, default=1, metavar="N", help="sample rows; default 1")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    actions = parser.add_subparsers(dest="action", metavar="action")
    text = "judge refused rows again, after a source, a rule or the rows themselves are mended"
    replayed = actions.add_parser("replay", help=text, description=text)
    _add_choice(replayed)
    replayed.add_argument("--why", required=True, metavar="TEXT", help="recorded with the days")
    replayed.add_argument(
        "--select", metavar="LOG=FILE", action="append", default=[],
        help="SELECT that mends the refused rows of a log; repeatable",
    )  # fmt: skip
    replayed.add_argument("--run-id", metavar="ID", help="name of this run in the records")
    add_common_of_action(replayed)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--date", type=iso_date, metavar="D", help="one log day")
    parser.add_argument("--start", type=iso_date, metavar="A", help="first log day")
    parser.add_argument("--end", type=iso_date, metavar="B", help="last log day, inclusive")
    parser.add_argument("--log", choices=tuple(LOGS), help="one log")
    parser.add_argument("--reason", choices=tuple(REASONS), metavar="REASON", help="one reason")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Show refused rows."""
    first, last = _span(arguments)
    if arguments.action == "replay":
        return _replay(arguments, config, console, first, last)
    found = read_refused(
        tables, first, last, log=arguments.log, reason=arguments.reason, samples=arguments.rows
    )
    if arguments.format == "json":
        sys.stdout.write(json.dumps([row.as_json() for row in found], indent=1) + "\n")
    else:
        _print(console, found)
    return ExitCode.DONE


def _replay(
    arguments: argparse.Namespace,
    config: Config,
    console: Console,
    first: date | None,
    last: date | None,
) -> int:
    """Make the days as they are to be now, then mend what is still refused."""
    # Listing does without Spark's half second.
    from jobs.commands.run import start_runner
    from jobs.landing.mends import Mend
    from jobs.planning.replaying import replay

    if first is None or last is None:
        raise UsageError("say of which days: --date D, or --start A --end B")
    mend = Mend(_selects(arguments.select), arguments.log, arguments.reason)
    with start_runner(config, console, arguments) as runner:
        held = runner.tables.days("quarantine")
        days = [day for day in sorted(held) if first <= day <= last]
        if not days:
            console.print("no row was refused on these days: there is nothing to take in")
            return ExitCode.NOTHING
        before = count_refused(runner.tables, days)
        runner.remark = {"replayed": {"who": user(), "why": plain(arguments.why)}}
        runner.run([("ingest_logs", day) for day in days], only="ingest_logs")
        if mend.selects:
            replay(runner, days, mend, who=user(), why=plain(arguments.why))
        after = count_refused(runner.tables, days)
    came = sum(before.values()) - sum(after.values())
    for day in days:
        if before[day] != after[day]:
            left = f"{number(after[day])} are still refused"
            console.print(f"{day}: {number(before[day] - after[day])} rows came in, {left}")
    if came:
        console.print(f"next: promoted-ctr run --date {days[-1]} makes what depends on them")
    else:
        console.print(
            "no row came in: nothing they were refused for has been mended. A changed source works "
            "where its landing files are; --select mends the rows themselves",
            soft_wrap=True,
        )
    return ExitCode.DONE


def _selects(given: list[str]) -> dict[str, str]:
    selects = {}
    for text in given:
        log, equals, name = text.partition("=")
        if not equals or log not in LOGS:
            raise UsageError(
                f"--select takes LOG=FILE with a log of {', '.join(LOGS)}, not {text!r}"
            )
        try:
            selects[log] = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise UsageError(f"--select {name}: {problem}") from None
    return selects


def _span(arguments: argparse.Namespace) -> tuple[date | None, date | None]:
    if arguments.date and (arguments.start or arguments.end):
        raise UsageError("give --date or --start and --end, not both")
    if arguments.start and arguments.end and arguments.end < arguments.start:
        raise UsageError(f"--end {arguments.end} is before --start {arguments.start}")
    return arguments.date or arguments.start, arguments.date or arguments.end


def _print(console: Console, found: list[RefusedRows]) -> None:
    if not found:
        console.print("no row was refused")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in ("day", "log"):
        table.add_column(name, no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    table.add_column("meaning")
    for row in found:
        table.add_row(str(row.ds), row.log, number(row.rows), row.reason, escape(row.meaning))
    console.print(table)
    for row in found:
        for sample in row.samples:
            text = f"  {row.ds} {row.log} {row.reason}: {plain(sample, 160)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)

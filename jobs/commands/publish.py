"""`promoted-ctr publish`: decide that a day's scores are read, as they are or as they were."""

from __future__ import annotations

import argparse
from datetime import date

from rich.console import Console
from rich.table import Table

from jobs.commands.arguments import iso_date, user
from jobs.planning.publications import Decision, decide, decision_of
from jobs.planning.runner import Runner
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing, UsageError
from jobs.storage.published import SCORES, day_scores
from jobs.storage.reading import DONE, OF_PUBLICATIONS, PUBLISH_JOB, Row, publications, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.alert_text import plain
from pipelines.quality.wording import number

EXAMPLES = """examples:
  promoted-ctr publish                                  publications, and who decided on them
  promoted-ctr publish --date 2026-02-06 --version 41 --reason "41 had the right prices"
                                                        go back to what was published at 41
  promoted-ctr publish --date 2026-02-06 --reason "a sale: the gate could not know"
                                                        what waits, whatever gates have said
  promoted-ctr unpublish --date 2026-02-06 --reason "prices in cents"
                                                        consumers go back to the day before

Nothing is computed again. A version stays until the next decision: later runs make and judge the
day and leave what consumers read. Without --version it is what listing_scores holds now, and later
runs publish the day again where it is made of something else."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    add_decision(parser)
    parser.add_argument(
        "--version", type=int, metavar="V", help="version of listing_scores; default: the newest"
    )
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="publications to list; default 20"
    )


def add_decision(parser: argparse.ArgumentParser) -> None:
    """What every decision on a publication takes."""
    parser.add_argument("--date", type=iso_date, metavar="D", help="the log day")
    parser.add_argument("--reason", metavar="TEXT", help="recorded with the decision")
    parser.add_argument("--run-id", metavar="ID", help="name of this decision in the records")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """List publications, or decide on one."""
    from jobs.commands.run import start_runner

    if arguments.date is None:
        if arguments.reason or arguments.version is not None:
            raise UsageError("say which day: --date D")
        _print(console, read_runs(tables, OF_PUBLICATIONS), arguments.limit)
        return ExitCode.DONE
    check_reason(arguments)
    with start_runner(config, console, arguments) as runner, runner.lock:
        version, rows = _chosen(runner, arguments.date, arguments.version)
        decision = Decision(
            True, version, arguments.version is not None, user(), plain(arguments.reason)
        )
        return settle(runner, arguments.date, decision, rows, console)


def check_reason(arguments: argparse.Namespace) -> None:
    """Refuse a decision without a reason."""
    if not arguments.reason:
        raise UsageError('say why: --reason "..."; it is kept with the decision')


def settle(runner: Runner, day: date, decision: Decision, rows: int, console: Console) -> ExitCode:
    """Record a decision and tell what consumers read now; the lock is held."""
    runner.records.reread()
    decide(runner.tables, runner.records, runner.run_id, day, decision, rows)
    now = publications(read_runs(runner.tables, OF_PUBLICATIONS))
    newest = max(now, default=None)
    reads = "no scores" if newest is None else f"the scores of {newest}"
    console.print(f"{day} is {decision}", markup=False, highlight=False, soft_wrap=True)
    stays = "this stays until another decision" if decision.holds else "later runs publish it again"
    console.print(f"current_scores holds {reads}; {stays}", highlight=False, soft_wrap=True)
    return ExitCode.DONE


def _chosen(runner: Runner, day: date, version: int | None) -> tuple[int, int]:
    """The version to publish a day at, and how many scores it holds."""
    tables = runner.tables
    if version is not None and version < 0:
        raise UsageError("--version is a number from 0")
    try:
        scores = day_scores(tables, day, version)
    except InputMissing as gone:
        raise UsageError(f"{gone}; promoted-ctr publish lists what was published") from None
    if scores is None or not scores.num_rows:
        if version is None:
            raise InputMissing(f"there are no scores of {day}: promoted-ctr run --date {day}")
        raise UsageError(
            f"version {version} of {SCORES} holds no scores of {day}: "
            "promoted-ctr publish lists what was published"
        )
    return tables.version(SCORES) if version is None else version, scores.num_rows


def _print(console: Console, runs: list[Row], limit: int) -> None:
    current = publications(runs)
    rows = [row for row in runs if row["job"] == PUBLISH_JOB and row["status"] == DONE]
    if not rows:
        console.print("nothing was published yet")
        return
    table = Table("day", "version", "scores", "when (UTC)", "now", "decided", box=None)
    rows.sort(key=lambda row: (row["ds"], row["ended"]), reverse=True)
    newest = max(current, default=None)
    for row in rows[: max(limit, 0)]:
        day, decision = row["ds"], decision_of(row["details"])
        is_read = current.get(day) is row
        table.add_row(
            str(day),
            str(row["versions_in"].get(SCORES, "")) if row["published"] else "",
            number(row["rows_out"]) if row["published"] else "none",
            f"{row['ended']:%Y-%m-%d %H:%M}",
            ("current" if day == newest else "read") if is_read else "",
            str(decision) if decision is not None else "",
        )
    console.print(table, markup=False, highlight=False)

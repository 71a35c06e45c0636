"""`run` and `backfill`, and every job by its name: plan, make what is due, tell the result."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from jobs.landing.sources import Source
from jobs.planning.joint_inputs import check_registries
from jobs.planning.left_out import without_left_out
from jobs.planning.own_quality import rules_for, suites_for
from jobs.planning.planner import UNSETTLED, PlannedStep
from jobs.planning.possible import refuse_impossible
from jobs.planning.publications import publish_targets
from jobs.planning.reasons import why
from jobs.planning.record import STARTED, now
from jobs.planning.runner import Runner
from jobs.reporting.alerting import Teller, said_on
from jobs.reporting.empty_features import empty_features, newest_day
from jobs.reporting.judgements import published_since
from jobs.reporting.judging import Made, tell_run, untold
from jobs.reporting.progress import progress_for, span
from jobs.reporting.report_folder import reports_at_hand
from jobs.reporting.run_summary import tell_machines
from jobs.setup.config import Config
from jobs.setup.environment import check_user
from jobs.setup.exits import ExitCode, UsageError, exit_code_of
from jobs.storage.creation import check_writable
from jobs.storage.reading import OF_PUBLICATIONS, read_runs
from jobs.storage.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run(
    arguments: argparse.Namespace,
    config: Config,
    console: Console,
    *,
    job: str | None = None,
) -> int:
    """Make days: all that publishing them needs, or one job's days only.

    Returns
    -------
    int
        Exit code.
    """
    from jobs.commands.arguments import chosen_days, names_days
    from jobs.commands.check_source import tell_first_use

    # A wrong machine, registry or rule is told before any log is read.
    check_user()
    check_registries(config)
    rules_for(config)
    suites_for(config)
    source = Source.of(config)
    last = None if names_days(arguments) else source.last_complete_day()
    days = chosen_days(arguments, last)
    run_id = arguments.run_id or f"{now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    tables = Tables(config.storage.root, lambda: _start(config, runner), config.storage.part_rows)
    signal.signal(signal.SIGTERM, _terminated)
    with progress_for(console, run_id, arguments.log_format) as progress:
        runner = Runner(config, source, tables, run_id, progress)
        targets = publish_targets(days) if job is None else [(job, day) for day in days]
        if arguments.dry_run:
            targets = without_left_out(runner.records.newest, targets)
            forget = frozenset(targets) if arguments.force else frozenset()
            planner = runner.planner(forget=forget)
            refuse_impossible(planner, targets)
            steps = planner.due(targets)
            plan = [s for s in steps if job is None or s.job.name == job]
        else:
            check_writable(tables.root)
            tables.create(["runs"])
            problem: Exception | None = None
            done: list[PlannedStep] = []
            began = now()
            try:
                look = partial(tell_first_use, source, tables, config, _say)
                # One job alone is given what is there: the whole run looks at its source.
                first = look if job is None else None
                done = runner.run(targets, only=job, force=arguments.force, first=first)
            except Exception as stopped:
                problem = stopped
    if arguments.dry_run:
        print_plan(console, plan, [why(planner, step, steps) for step in plan])
        stored = newest_day(tables, days[-1])
        for empty in empty_features(tables, config, stored) if stored is not None else ():
            console.print(f"{empty.text} (looked at {stored})", markup=False, highlight=False)
        Teller(tables, config, said_on(console), dry_run=True).tell([])
        return ExitCode.DONE
    made = Made(run_id, began, days, job, problem, runner.making)
    is_judged = problem is None or exit_code_of(problem) is ExitCode.QUALITY
    is_told = job is None and is_judged and (problem is not None or bool(done))
    if job is None and problem is None and not done:
        before = untold(tables, config, days)
        made, is_told = before or made, before is not None
    of_summary = _say if problem is None else _unsaid
    try:
        if is_told:
            _report(tables, config, made, runner, console)
        else:
            tell_run(tables, config, made, _say)
    except UsageError as unwritten:
        # Why nothing is published is told last, whatever becomes of the report.
        of_summary = _unsaid
        if problem is None:
            raise
        _say(str(unwritten))
    finally:
        tell_machines(tables, config, Made(run_id, began, days, job, problem), of_summary)
    if problem is not None:
        raise problem
    if not done:
        console.print(f"nothing to do: {span(days)} is made and up to date")
    return ExitCode.DONE


def _report(tables: Tables, config: Config, made: Made, runner: Runner, console: Console) -> None:
    """Tell how a run ended: to whom alerts go, then in the report, which so says that it is told.

    Raises
    ------
    UsageError
        The report cannot be written.
    """
    from jobs.reporting.expectations import CHECK, confirm

    day = made.days[-1]
    with reports_at_hand(config) as local:
        for result in confirm(tables, local, made.run_id, day, runner.memory.days):
            if result.check == CHECK and result.status == "ERROR":
                _say(f"Great Expectations: {result.details}")
        tell_run(tables, config, made, _say)
        published = published_since(tables, made.run_id, made.began)
        before = [other for other in published if other in made.days[:-1]]
        tell(local, tables, day, console, config.storage.reports, before)
    if len(made.days) > 1:
        console.print(f"  {_how_many(tables, made.days)}", highlight=False)


def _say(text: str) -> None:
    """Alerts are told where problems are: machines may read what a run prints."""
    print(f"promoted-ctr: {text}", file=sys.stderr)


def _unsaid(text: str) -> None:
    """Of a run that ends badly its own cause is told, and nothing that follows from it."""


def print_plan(
    console: Console, steps: Sequence[PlannedStep], reasons: Sequence[Sequence[str]]
) -> None:
    """Show what would be made, and why."""
    if not steps:
        console.print("nothing to do: everything is made and up to date")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("step", "last day"):
        table.add_column(name, no_wrap=True)
    table.add_column("days", justify="right")
    table.add_column("why", overflow="fold")
    for step, texts in zip(steps, reasons, strict=True):
        days = step.days
        table.add_row(step.job.name, str(days[-1]), str(len(days)), "; ".join(texts))
    console.print(table)
    if any(UNSETTLED in value for step in steps for value in step.fingerprints.values()):
        console.print("steps after ingest_logs may turn out not to be needed")


def _how_many(tables: Tables, days: Sequence[date]) -> str:
    """How many of the days asked for were published when they were judged last."""
    judged = read_runs(tables, OF_PUBLICATIONS)
    last = {row["ds"]: row for row in judged if row["status"] != STARTED}
    others = [str(day) for day in days if day not in last or not last[day]["published"]]
    told = f"{len(days) - len(others)} of {len(days)} days are published"
    return told + (f", but not {', '.join(others)}" if others else "")


def tell(
    config: Config,
    tables: Tables,
    day: date,
    console: Console,
    place: str,
    before: Sequence[date] = (),
) -> None:
    """Write the report of the day, which is found at `place`, and print the summary.

    Parameters
    ----------
    before : sequence of date
        Other days whose report is written, without a summary.
    """
    from jobs.reporting.collect import collect_report
    from jobs.reporting.history_page import write_history
    from jobs.reporting.summary import print_summary, write_report

    for other in before:
        write_report(collect_report(tables, config, other), config.storage.reports)
    data = collect_report(tables, config, day)
    html, _ = write_report(data, config.storage.reports)
    write_history(tables, config.storage.reports)
    print_summary(console, data, html, place)


@contextmanager
def start_runner(
    config: Config, console: Console, arguments: argparse.Namespace
) -> Iterator[Runner]:
    """A runner, told of on a console, for as long as it is needed."""
    run_id = arguments.run_id or f"{now():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    source = Source.of(config)
    tables = Tables(config.storage.root, lambda: _start(config, runner), config.storage.part_rows)
    signal.signal(signal.SIGTERM, _terminated)
    check_writable(tables.root)
    tables.create(["runs"])
    with progress_for(console, run_id, arguments.log_format) as progress:
        runner = Runner(config, source, tables, run_id, progress)
        yield runner


def _start(config: Config, runner: Runner) -> SparkSession:
    from jobs.setup.session import start_session

    session = start_session(config, "promoted-ctr")
    runner.lock.extend_to(session)
    return session


def _terminated(signum: int, frame: FrameType | None) -> None:
    """End at once: what is half written is never seen, and the lock goes with the process."""
    os._exit(ExitCode.TERMINATED)

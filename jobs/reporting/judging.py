"""After a run: what it found, and how it ended, is told. Never a reason for a run to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow.compute as pc

from jobs.planning.checks import listed_causes
from jobs.planning.own_quality import rules_for
from jobs.planning.planner import PlannedStep
from jobs.reporting.alert_log import read_alerts
from jobs.reporting.alerting import Teller
from jobs.reporting.judgements import of_results, of_run, published_since, read_results
from jobs.reporting.report_folder import has_report
from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import ExitCode, exit_code_of
from jobs.setup.problems import said_of
from jobs.storage.reading import OF_PUBLICATIONS, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.alerts import Judgement


@dataclass(frozen=True)
class Made:
    """How a run ended.

    Attributes
    ----------
    job : str or None
        The only job it was to make.
    problem : Exception or None
        What stopped it.
    making : PlannedStep or None
        The step in which it was stopped; None before any.
    """

    run_id: str
    began: datetime
    days: Sequence[date]
    job: str | None = None
    problem: Exception | None = None
    making: PlannedStep | None = None


def tell_run(tables: Tables, config: Config, made: Made, say: Callable[[str], None]) -> None:
    """Tell what a run found and how it ended."""
    try:
        # A problem is told in one line; without a route there is no more to say.
        teller = Teller(tables, config, say, run_id=made.run_id, is_quiet=True)
        teller.tell(judgements(tables, config, made))
    except Exception as problem:
        say(f"alerts could not be told: {type(problem).__name__}: {said_of(problem)}")


def untold(tables: Tables, config: Config, days: Sequence[date]) -> Made | None:
    """The run that made the last of these days, where it ended before it had told how it went.

    The report comes last: a run that was killed, or could not write it, has left none.

    Raises
    ------
    UsageError
        The folder of reports cannot be read.
    """
    if has_report(config, days[-1]):
        return None
    judged = read_runs(tables, OF_PUBLICATIONS & (pc.field("ds") == days[-1]))
    if not judged:
        return None
    run_id = judged[-1]["run_id"]
    of_run = read_runs(tables, pc.field("run_id") == run_id)
    return Made(run_id, min(row["started"] for row in of_run), days)


def judgements(tables: Tables, config: Config, made: Made) -> list[Judgement]:
    """What a run says of its days."""
    severities = config.alerts.severity
    results = read_results(tables, made.run_id, made.began)
    conf = conf_directory()
    found = of_results(results, rules_for(config), listed_causes(conf), severities)
    is_told = any(problem.stops for judgement in found for problem in judgement.wrong)
    if made.problem is None or not (is_told and exit_code_of(made.problem) is ExitCode.QUALITY):
        job = made.making.job.name if made.making is not None else None
        found += of_run(made.problem, job, made.days, severities, made=made.job)
    published = published_since(tables, made.run_id, made.began)
    if published:
        told = {
            problem.judge
            for alert in read_alerts(tables).alerts.values()
            for problem in alert.problems.values()
            if alert.state == "open" and problem.judge.startswith("told ")
        }
        found += [Judgement(judge, published[-1]) for judge in ["late", *sorted(told)]]
    return found

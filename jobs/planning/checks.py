"""Check stored tables by their rules and keep every result.

Grain: run, table, check, slice and day. It changes no table but `quality_results`; a blocking
failure stops the run after the results are kept.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path

from jobs.planning.memory import Memory
from jobs.planning.own_quality import rules_for
from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import QualityStop, UsageError
from jobs.storage.tables import Tables
from pipelines.quality.context import MetricsRow
from pipelines.quality.evaluate import errors, measure_day
from pipelines.quality.findings import Cause, load_causes
from pipelines.quality.measures import MeasureError, measure, problems_of
from pipelines.quality.results import QualityResult, blocking, judge
from pipelines.quality.rule_files import TableRules, compared_tables

SHOWN = 5
"""Failures named in the message of a stopped run; all are in `quality_results`."""


@cache
def listed_causes(conf: Path) -> dict[str, Cause]:
    """Read what causes explain and ask for: `causes.toml` of a configuration folder.

    Raises
    ------
    UsageError
        It cannot be read.
    """
    path = conf / "causes.toml"
    try:
        return load_causes(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as problem:
        raise UsageError(f"{path}: {problem}") from None


def with_next_step(said: str, causes: Iterable[str | None]) -> str:
    """Add what to do about the first of the causes for which something is listed."""
    listed = listed_causes(conf_directory())
    steps = [listed[cause].do for cause in causes if cause is not None and cause in listed]
    return next((f"{said}; next: {step.rstrip('.')}" for step in steps if step), said)


def check_tables(
    tables: Tables,
    config: Config,
    run_id: str,
    groups: Iterable[tuple[Sequence[str], Sequence[date]]],
    memory: Memory | None = None,
) -> list[QualityResult]:
    """Check, keep the results in one commit, and stop if one of them blocks.

    Parameters
    ----------
    groups : iterable of (tables, days)
        What is checked, each as of `check`. All of it is, so that a stop names every day that is
        wrong and the others have passed.
    memory : Memory, optional
        Of a run that checks more than once.

    Raises
    ------
    QualityStop
        A blocking check failed or could not be evaluated; it names the days.
    """
    memory = memory or Memory(tables, config.quality.history_days)
    results: list[QualityResult] = []
    for names, days in groups:
        results += check(tables, config, run_id, names, days, memory=memory)
    record(tables, results)
    stop_if_blocked(results)
    return results


def check(
    tables: Tables,
    config: Config,
    run_id: str,
    names: Iterable[str],
    days: Sequence[date],
    clock: Callable[[], datetime] = now,
    memory: Memory | None = None,
) -> list[QualityResult]:
    """Check the days of some tables; writes nothing.

    Parameters
    ----------
    names : iterable of str
        In the order in which they are compared; tables without rules are left out.

    Returns
    -------
    list of QualityResult
        By table, day and rule.
    """
    rules = rules_for(config)
    checked = [rules[name] for name in names if name in rules]
    if not checked or not days:
        return []
    checked_at = clock()
    memory = memory or Memory(tables, config.quality.history_days)
    results: list[QualityResult] = []
    for of_table in checked:
        results += _check(
            tables, of_table, sorted(days), memory, config.quality.min_history_days, run_id,
            checked_at,
        )  # fmt: skip
    return results


def stop_if_blocked(
    results: Sequence[QualityResult], said: str = "stopped by quality, nothing published"
) -> None:
    """Raise QualityStop, naming what failed, if a result blocks."""
    stopped = blocking(results)
    if stopped:
        days = {result.ds for result in stopped}
        told = with_next_step(f"{said}: {_message(stopped)}", (r.cause for r in stopped))
        raise QualityStop(told, refused=days)


def record(tables: Tables, results: Sequence[QualityResult]) -> None:
    """Append results to `quality_results` in one commit."""
    if results:
        tables.write_rows("quality_results", [asdict(result) for result in results], None)


def _check(
    tables: Tables,
    rules: TableRules,
    days: Sequence[date],
    memory: Memory,
    min_history_days: int,
    run_id: str,
    checked_at: datetime,
) -> list[QualityResult]:
    """Results of one table; what they measured joins the past of the days after."""
    present = sorted(tables.row_counts(rules.table, days))
    rows = tables.dataset(rules.table, present) if present else None
    problems: dict[str, str] = {}
    sound = rules
    measured_rows: dict[date, MetricsRow] = {}
    try:
        measured_rows = measure(rows, rules) if rows is not None else {}
    except MeasureError:
        problems = problems_of(rows, rules)
        sound = rules.without(problems)
        measured_rows = measure(rows, sound) if sound.rule else {}
    past = memory.of(days)
    compared = compared_tables(rules)
    results: list[QualityResult] = []
    for day in days:
        recent = past.since(day - timedelta(days=memory.history_days), compared)
        measured = measure_day(
            sound, day, measured_rows.get(day), recent, min_history_days=min_history_days
        )
        made = [
            judge(m, table=rules.table, day=day, run_id=run_id, now=checked_at) for m in measured
        ]
        made += errors(rules, day, problems, run_id=run_id, now=checked_at)
        memory.add(made)
        results += made
    return results


def _message(stopped: Sequence[QualityResult]) -> str:
    failures = []
    for result in stopped[:SHOWN]:
        part = f"[{result.slice}]" if result.slice else ""
        failures.append(f"{result.table}.{result.check}{part} of {result.ds}: {result.told}")
    more = f" and {len(stopped) - SHOWN} more" if len(stopped) > SHOWN else ""
    return f"{'; '.join(failures)}{more}"

"""Check stored tables by the rules of conf/quality and keep every result.

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

from jobs.planning.record import now
from jobs.setup.config import Config
from jobs.setup.environment import conf_directory
from jobs.setup.exits import QualityStop, UsageError
from jobs.storage.tables import Tables
from pipelines.quality.comparison_rules import CompareRule
from pipelines.quality.evaluate import errors, measure_day
from pipelines.quality.findings import Cause, load_causes
from pipelines.quality.measures import MeasureError, measure
from pipelines.quality.past import Past
from pipelines.quality.results import QualityResult, blocking, judge
from pipelines.quality.rule_files import RuleError, TableRules, load_rules, reference

SHOWN = 5
"""Failures named in the message of a stopped run; all are in `quality_results`."""


@cache
def rules_of(folder: Path) -> dict[str, TableRules]:
    """Read the rule files of a folder.

    Raises
    ------
    UsageError
        A file cannot be read, or a rule cannot be checked.
    """
    try:
        return load_rules(
            {
                path.name: tomllib.loads(path.read_text(encoding="utf-8"))
                for path in sorted(folder.glob("*.toml"))
            }
        )
    except (OSError, ValueError, RuleError) as problem:
        raise UsageError(f"quality rules: {problem}") from None


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


def check_tables(
    tables: Tables, config: Config, run_id: str, names: Iterable[str], days: Sequence[date]
) -> list[QualityResult]:
    """Check, keep the results in one commit, and stop if one of them blocks.

    Raises
    ------
    QualityStop
        A blocking check failed or could not be evaluated.
    """
    results = check(tables, config, run_id, names, days)
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
    rules = rules_of(conf_directory() / "quality")
    checked = [rules[name] for name in names if name in rules]
    if not checked or not days:
        return []
    checked_at = clock()
    past = read_past(tables, checked, days, config.quality.history_days)
    results: list[QualityResult] = []
    for rules_of_table in checked:
        results += _check(tables, config, rules_of_table, sorted(days), past, run_id, checked_at)
    return results


def stop_if_blocked(results: Sequence[QualityResult]) -> None:
    """Raise QualityStop, naming what failed, if a result blocks."""
    stopped = blocking(results)
    if stopped:
        raise QualityStop(_message(stopped))


def record(tables: Tables, results: Sequence[QualityResult]) -> None:
    """Append results to `quality_results` in one commit."""
    if results:
        tables.write_rows("quality_results", [asdict(result) for result in results], None)


def read_past(
    tables: Tables, checked: Sequence[TableRules], days: Sequence[date], history_days: int
) -> Past:
    """Read what was recorded of these tables and of those they are compared with."""
    if not tables.exists("quality_results"):
        return Past()
    wanted = {rules_of_table.table for rules_of_table in checked}
    for rules_of_table in checked:
        wanted |= {
            reference(rules_of_table.table, rule.to)[0]
            for rule in rules_of_table.rule
            if isinstance(rule, CompareRule)
        }
    # The log's statistics name the tables of each file, so that few files are opened.
    stored = tables.delta("quality_results").to_pyarrow_table(
        filters=[
            ("ds", ">=", min(days) - timedelta(days=history_days)),
            ("ds", "<=", max(days)),
            ("table", "in", sorted(wanted)),
        ],
        columns=["ds", "table", "check", "slice", "status", "observed", "state", "checked_at"],
    )
    past = Past()
    for row in stored.sort_by("checked_at").to_pylist():
        key = (row["table"], row["check"], row["slice"])
        past.add(key, row["ds"], row["status"], row["observed"], row["state"])
    return past


def _check(
    tables: Tables,
    config: Config,
    rules: TableRules,
    days: Sequence[date],
    past: Past,
    run_id: str,
    checked_at: datetime,
) -> list[QualityResult]:
    """Results of one table; what they measured joins the past of the days after."""
    present = sorted(tables.row_counts(rules.table, days))
    problem = ""
    rows = {}
    try:
        rows = measure(tables.dataset(rules.table, present), rules) if present else {}
    except MeasureError as error:
        problem = f"cannot be evaluated: {str(error).strip().splitlines()[0][:300]}"
    results: list[QualityResult] = []
    for day in days:
        if problem:
            results += errors(rules, day, problem, run_id=run_id, now=checked_at)
            continue
        recent = past.since(day - timedelta(days=config.quality.history_days))
        measured = measure_day(
            rules, day, rows.get(day), recent, min_history_days=config.quality.min_history_days
        )
        made = [
            judge(m, table=rules.table, day=day, run_id=run_id, now=checked_at) for m in measured
        ]
        for result in made:
            key = (result.table, result.check, result.slice)
            past.add(key, day, result.status, result.observed, result.state)
        results += made
    return results


def _message(stopped: Sequence[QualityResult]) -> str:
    failures = []
    for result in stopped[:SHOWN]:
        part = f"[{result.slice}]" if result.slice else ""
        said = result.details or ""
        if result.status != "ERROR" and result.observed is not None:
            said = f"{result.observed:.6g}, expected {result.expected}" + (
                f" ({said})" if said else ""
            )
        failures.append(f"{result.table}.{result.check}{part} of {result.ds}: {said}")
    more = f" and {len(stopped) - SHOWN} more" if len(stopped) > SHOWN else ""
    return f"stopped by quality, nothing published: {'; '.join(failures)}{more}"

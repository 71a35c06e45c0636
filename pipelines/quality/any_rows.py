"""Checks of rows that no run has made: nothing is known of them but themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from pipelines.quality.context import MetricsRow
from pipelines.quality.evaluate import errors, measure_day
from pipelines.quality.measures import MeasureError
from pipelines.quality.past import Past
from pipelines.quality.results import QualityResult, judge
from pipelines.quality.rule_files import TableRules


def judge_days(
    rules: TableRules,
    measured: Mapping[date, MetricsRow],
    *,
    min_history_days: int,
    run_id: str,
    now: datetime,
) -> dict[date, list[QualityResult]]:
    """Judge days in their order, each against those before it.

    Parameters
    ----------
    measured : mapping
        As of `measure`.
    """
    past = Past()
    judged: dict[date, list[QualityResult]] = {}
    for day in sorted(measured):
        taken = measure_day(rules, day, measured[day], past, min_history_days=min_history_days)
        judged[day] = [judge(m, table=rules.table, day=day, run_id=run_id, now=now) for m in taken]
        for r in judged[day]:
            past.add((r.table, r.check, r.slice), day, r.status, r.observed, r.state)
    return judged


def unmeasured(
    rules: TableRules, problem: MeasureError, *, day: date, run_id: str, now: datetime
) -> list[QualityResult]:
    """Give the results of a day whose measures cannot be taken."""
    said = f"cannot be evaluated: {str(problem).strip().splitlines()[0][:300]}"
    return errors(rules, day, said, run_id=run_id, now=now)

"""Checks of rows that no run has made: nothing is known of them but themselves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import pyarrow.dataset as ds

from pipelines.quality.context import MetricsRow
from pipelines.quality.evaluate import errors, measure_day
from pipelines.quality.measures import MeasureError, measure, problems_of
from pipelines.quality.past import Past
from pipelines.quality.results import QualityResult, judge
from pipelines.quality.rule_files import TableRules


def judge_rows(
    rules: TableRules,
    rows: ds.Dataset,
    day_sql: str,
    *,
    last: date,
    min_history_days: int,
    run_id: str,
    now: datetime,
) -> dict[date, list[QualityResult]]:
    """Judge days in their order, each against those before it.

    Parameters
    ----------
    day_sql : str
        SQL of a row's day.
    last : date
        The day that is asked for: where no rule can be measured, it is told of this one.
    """
    problems: dict[str, str] = {}
    sound = rules
    measured: Mapping[date, MetricsRow]
    try:
        measured = measure(rows, rules, day_sql)
    except MeasureError:
        problems = problems_of(rows, rules, day_sql)
        sound = rules.without(problems)
        measured = measure(rows, sound, day_sql) if sound.rule else {last: {}}
    past = Past()
    judged: dict[date, list[QualityResult]] = {}
    for day in sorted(measured):
        taken = measure_day(sound, day, measured[day], past, min_history_days=min_history_days)
        judged[day] = [
            *(judge(m, table=rules.table, day=day, run_id=run_id, now=now) for m in taken),
            *errors(rules, day, problems, run_id=run_id, now=now),
        ]
        for r in judged[day]:
            past.add((r.table, r.check, r.slice), day, r.status, r.observed, r.state)
    return judged

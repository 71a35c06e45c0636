"""From a day's metrics row to measurements: values, and the bounds that they have to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from statistics import median

from pipelines.quality.history import against_history
from pipelines.quality.past import Past
from pipelines.quality.results import Measurement, QualityResult, judge
from pipelines.quality.rule_files import TableRules, metric_column, reference
from pipelines.quality.rules import (
    ColumnRule,
    CompareRule,
    CountRule,
    HistoryRule,
    RowRule,
    Rule,
    ShareRule,
    SumRule,
    TableRule,
)

MetricsRow = Mapping[str, float | int | None]


def measure_day(
    rules: TableRules, day: date, row: MetricsRow | None, past: Past, *, min_history_days: int
) -> list[Measurement]:
    """Take every measure of a table's day.

    Parameters
    ----------
    row : mapping or None
        The day's metrics row; None where the table holds no row of the day.
    past : Past
        Of this table's earlier days and of the same day's other tables.

    Returns
    -------
    list of Measurement
        In the order of the rules.
    """
    taken: dict[tuple[str, str], Measurement] = {}
    for rule in rules.rule:
        for part in rule.slices:
            if isinstance(rule, CompareRule):
                measured = _compare(rules.table, rule, part, day, taken, past)
            elif isinstance(rule, HistoryRule):
                measured = _against_history(rules, rule, part, day, taken, past, min_history_days)
            else:
                measured = _measure(rule, part, row or {})
            taken[rule.name, part] = measured
    return list(taken.values())


def _blank(rule: Rule, part: str) -> Measurement:
    return Measurement(
        check=rule.name,
        slice=part,
        severity=rule.severity,
        value=None,
        rows=None,
        low=rule.min,
        high=rule.max,
        cause=rule.cause,
    )


def _measure(
    rule: RowRule | ShareRule | CountRule | SumRule | ColumnRule | TableRule,
    part: str,
    row: MetricsRow,
) -> Measurement:
    blank = _blank(rule, part)
    value = row.get(metric_column(rule.name, part, "value"))
    counts = isinstance(rule, CountRule) or (isinstance(rule, TableRule) and rule.metric == "rows")
    if counts:
        number = int(value or 0)
        return replace(blank, value=float(number), rows=number)
    rows = int(row.get(metric_column(rule.name, part, "rows")) or 0)
    blank = replace(blank, rows=rows)
    if rows == 0:
        return replace(blank, reason="there are no such rows")
    if value is None:
        return replace(blank, reason="the column holds no value")
    is_share = isinstance(rule, RowRule | ShareRule) or (
        isinstance(rule, ColumnRule) and rule.metric == "null_share"
    )
    blank = replace(blank, value=value / rows if is_share else float(value))
    return _judged_from(blank, rule.min_rows)


def _judged_from(measured: Measurement, min_rows: int) -> Measurement:
    """Keep the value on record but judge it only with enough rows."""
    if (measured.rows or 0) >= min_rows:
        return measured
    return replace(
        measured, reason=f"{measured.rows} rows, at least {min_rows} are needed to judge"
    )


def _compare(
    table: str,
    rule: CompareRule,
    part: str,
    day: date,
    taken: Mapping[tuple[str, str], Measurement],
    past: Past,
) -> Measurement:
    measured = taken[rule.of, part]
    other_table, other = reference(table, rule.to)
    if other_table == table:
        base = taken[other, part if (other, part) in taken else ""].value
    else:
        known = past.value((other_table, other, part), day)
        # A sliced measure may be compared with the whole day of another.
        base = past.value((other_table, other, ""), day) if known is None else known
    blank = replace(_blank(rule, part), rows=measured.rows, baseline=base)
    if measured.value is None:
        return replace(blank, reason=f"{rule.of}: {measured.reason}")
    if base is None:
        return replace(blank, reason=f"{rule.to} was not measured for {day}")
    if base == 0 and measured.value == 0:
        return replace(blank, reason=f"{rule.of} and {rule.to} are both 0")
    widen = rule.noise / math.sqrt(measured.rows) if rule.noise and measured.rows else 0.0
    compared = replace(
        blank,
        value=measured.value / base if base else math.inf,
        low=None if rule.min is None else rule.min - widen,
        high=None if rule.max is None else rule.max + widen,
        note=f"{rule.of} {measured.value:.10g}, {rule.to} {base:.10g}",
    )
    return _judged_from(compared, rule.min_rows)


def _against_history(
    rules: TableRules,
    rule: HistoryRule,
    part: str,
    day: date,
    taken: Mapping[tuple[str, str], Measurement],
    past: Past,
    min_days: int,
) -> Measurement:
    measured = taken[rule.of, part]
    blank = replace(_blank(rule, part), rows=measured.rows)
    if measured.value is None:
        return replace(blank, reason=f"{rule.of}: {measured.reason}")
    values = past.values.get((rules.table, rule.of, part), {})
    anomalies = past.anomalies.get((rules.table, rule.name, part), ())
    noise = 0.0
    if isinstance(rules.named(rule.of), ShareRule) and measured.rows:
        # The larger of the two rates: a rate of 0 is not a measurement without error.
        rate = max(measured.value, median(values.values()) if values else 0.0)
        noise = math.sqrt(rate * (1 - rate) / measured.rows)
    elif isinstance(rules.named(rule.of), CountRule | TableRule):
        noise = math.sqrt(measured.value)
    deviation = against_history(
        day, measured.value, values, anomalies, min_days=min_days, floor=rule.floor, noise=noise
    )
    if deviation is None:
        known = sum(1 for d in values if d < day)
        return replace(blank, reason=f"{known} earlier days, at least {min_days} are needed")
    alike = " of the same weekday" if deviation.same_weekday else ""
    compared = replace(
        blank,
        value=deviation.z,
        baseline=deviation.centre,
        note=f"{rule.of} {measured.value:.6g}, "
        f"median of {deviation.days} days{alike} {deviation.centre:.6g}",
    )
    return _judged_from(compared, rule.min_rows)


def errors(
    rules: TableRules, day: date, problem: str, *, run_id: str, now: datetime
) -> list[QualityResult]:
    """Results of a day whose measures could not be taken at all."""
    blanks = [_blank(rule, part) for rule in rules.rule for part in rule.slices]
    return [
        replace(
            judge(blank, table=rules.table, day=day, run_id=run_id, now=now),
            status="ERROR",
            details=problem,
        )
        for blank in blanks
    ]

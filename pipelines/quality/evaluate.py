"""From a day's metrics row to results: what was measured, and whether it is within its bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from statistics import median
from typing import Literal

from pipelines.quality.history import against_history
from pipelines.quality.past import Past
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
    TableRules,
    metric_column,
    reference,
)

Status = Literal["PASS", "WARN", "FAIL", "ERROR", "SKIP"]
MetricsRow = Mapping[str, float | int | None]


@dataclass(frozen=True)
class QualityResult:
    """One row of `quality_results`."""

    run_id: str
    table: str
    check: str
    slice: str
    severity: str
    status: Status
    observed: float | None
    expected: str
    baseline: float | None
    rows: int | None
    details: str | None
    checked_at: datetime
    ds: date


@dataclass(frozen=True)
class Measurement:
    """One measure of a slice with the bounds it has to keep.

    Attributes
    ----------
    value : float or None
        None where there is nothing to judge; `reason` says why.
    low, high : float or None
        Inclusive bounds; None: unbounded.
    baseline : float or None
        What the value was compared with.
    """

    check: str
    slice: str
    severity: str
    value: float | None
    rows: int | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    reason: str = ""
    note: str = ""

    @property
    def expected(self) -> str:
        """The bounds in words."""
        if self.low is not None and self.high is not None:
            same = self.low == self.high
            return f"{self.low:g}" if same else f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f">= {self.low:g}"
        return f"<= {self.high:g}" if self.high is not None else "recorded only"

    @property
    def within(self) -> bool:
        """Whether the value is a number inside its bounds."""
        value = math.nan if self.value is None else self.value
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        return not math.isnan(value) and above and below


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
                found = _compare(rules.table, rule, part, day, taken, past)
            elif isinstance(rule, HistoryRule):
                found = _against_history(rules, rule, part, day, taken, past, min_history_days)
            else:
                found = _measure(rule, part, row or {})
            taken[rule.name, part] = found
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
    own = taken[rule.of, part]
    other_table, other = reference(table, rule.to)
    if other_table == table:
        base = taken[other, part if (other, part) in taken else ""].value
    else:
        known = past.value((other_table, other, part), day)
        # A sliced measure may be compared with the whole day of another.
        base = past.value((other_table, other, ""), day) if known is None else known
    blank = replace(_blank(rule, part), rows=own.rows, baseline=base)
    if own.value is None:
        return replace(blank, reason=f"{rule.of}: {own.reason}")
    if base is None:
        return replace(blank, reason=f"{rule.to} was not measured for {day}")
    if base == 0 and own.value == 0:
        return replace(blank, reason=f"{rule.of} and {rule.to} are both 0")
    widen = rule.noise / math.sqrt(own.rows) if rule.noise and own.rows else 0.0
    compared = replace(
        blank,
        value=own.value / base if base else math.inf,
        low=None if rule.min is None else rule.min - widen,
        high=None if rule.max is None else rule.max + widen,
        note=f"{rule.of} {own.value:.10g}, {rule.to} {base:.10g}",
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
    own = taken[rule.of, part]
    blank = replace(_blank(rule, part), rows=own.rows)
    if own.value is None:
        return replace(blank, reason=f"{rule.of}: {own.reason}")
    values = past.values.get((rules.table, rule.of, part), {})
    anomalies = past.anomalies.get((rules.table, rule.name, part), ())
    noise = 0.0
    if isinstance(rules.named(rule.of), ShareRule) and own.rows:
        # The larger of the two rates: a rate of 0 is not a measurement without error.
        rate = max(own.value, median(values.values()) if values else 0.0)
        noise = math.sqrt(rate * (1 - rate) / own.rows)
    elif isinstance(rules.named(rule.of), CountRule | TableRule):
        noise = math.sqrt(own.value)
    found = against_history(
        day, own.value, values, anomalies, min_days=min_days, floor=rule.floor, noise=noise
    )
    if found is None:
        known = sum(1 for d in values if d < day)
        return replace(blank, reason=f"{known} earlier days, at least {min_days} are needed")
    alike = " of the same weekday" if found.same_weekday else ""
    compared = replace(
        blank,
        value=found.z,
        baseline=found.centre,
        note=f"{rule.of} {own.value:.6g}, median of {found.days} days{alike} {found.centre:.6g}",
    )
    return _judged_from(compared, rule.min_rows)


def judge(
    measured: Measurement, *, table: str, day: date, run_id: str, now: datetime
) -> QualityResult:
    """Give a measurement its status: PASS, SKIP with its reason, or what its severity asks for."""
    status: Status
    if measured.reason:
        status = "SKIP"
    elif measured.within:
        status = "PASS"
    else:
        status = "FAIL" if measured.severity in ("block", "quarantine") else "WARN"
    return QualityResult(
        run_id=run_id,
        table=table,
        check=measured.check,
        slice=measured.slice,
        severity=measured.severity,
        status=status,
        observed=measured.value,
        expected=measured.expected,
        baseline=measured.baseline,
        rows=measured.rows,
        details=measured.reason or measured.note or None,
        checked_at=now,
        ds=day,
    )


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


def blocking(results: Sequence[QualityResult]) -> list[QualityResult]:
    """Results that stop a run: a blocking check that failed, or could not be evaluated."""
    return [r for r in results if r.severity == "block" and r.status in ("FAIL", "ERROR")]

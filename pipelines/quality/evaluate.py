"""From a day's metrics row to measurements: values, and the bounds that they have to keep."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from statistics import median
from typing import Any

from pipelines.quality.comparison_rules import (
    ChangeRule,
    CompareRule,
    EvidenceRule,
    HistoryRule,
    MixRule,
    PromisesRule,
    RatesRule,
    StabilityRule,
)
from pipelines.quality.context import Context, MetricsRow, blank, judged_from
from pipelines.quality.group_checks import (
    compare_groups,
    compare_promises,
    count_clicks,
    count_groups,
    gather_evidence,
    measure_hashing,
    measure_leak,
    measure_stability,
    split_of_change,
)
from pipelines.quality.group_rules import ClicksRule, GroupsRule, HashingRule, LeakRule
from pipelines.quality.history import against_history
from pipelines.quality.past import Past
from pipelines.quality.results import Measurement, QualityResult, judge
from pipelines.quality.rule_base import RuleBase
from pipelines.quality.rule_files import TableRules, reference
from pipelines.quality.rules import (
    ColumnRule,
    CountRule,
    MeanRule,
    RowRule,
    ShareRule,
    SumRule,
    TableRule,
)


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
    context = Context(rules, day, row or {}, past, min_history_days)
    for rule in rules.rule:
        measure = _MEASURES.get(type(rule), _measure)
        for part in rule.slices:
            context.taken[rule.name, part] = measure(rule, part, context)
    return list(context.taken.values())


def _measure(rule: RuleBase, part: str, context: Context) -> Measurement:
    empty = blank(rule, part)
    value = context.aggregate(rule, part, "value")
    counts = isinstance(rule, CountRule) or (isinstance(rule, TableRule) and rule.metric == "rows")
    if counts:
        number = int(value or 0)
        return replace(empty, value=float(number), rows=number)
    rows = context.rows(rule, part)
    empty = replace(empty, rows=rows)
    if rows == 0 and isinstance(rule, SumRule):
        # As a count: nothing in all, which a table that has rows is compared with.
        return replace(empty, value=0.0)
    if rows == 0:
        return replace(empty, reason="there are no such rows")
    if value is None:
        return replace(empty, reason="the column holds no value")
    is_share = isinstance(rule, RowRule | ShareRule | MeanRule) or (
        isinstance(rule, ColumnRule) and rule.metric == "null_share"
    )
    measured = replace(empty, value=value / rows if is_share else float(value))
    return judged_from(measured, rule.min_rows)


def _compare(rule: CompareRule, part: str, context: Context) -> Measurement:
    measured = context.taken[rule.of, part]
    other_table, other = reference(context.rules.table, rule.to)
    if other_table == context.rules.table:
        at = (other, part) if (other, part) in context.taken else (other, "")
        base = context.taken[at].value
    else:
        known = context.past.value((other_table, other, part), context.day)
        # A sliced measure may be compared with the whole day of another.
        whole = context.past.value((other_table, other, ""), context.day)
        base = whole if known is None else known
    empty = replace(blank(rule, part), rows=measured.rows, baseline=base)
    if measured.value is None:
        return replace(empty, reason=f"{rule.of}: {measured.reason}")
    if base is None:
        return replace(empty, reason=f"{rule.to} was not measured for {context.day}")
    if base == 0 and measured.value == 0:
        return replace(empty, reason=f"{rule.of} and {rule.to} are both 0")
    widen = rule.noise / math.sqrt(measured.rows) if rule.noise and measured.rows else 0.0
    compared = replace(
        empty,
        value=measured.value / base if base else math.inf,
        low=None if rule.min is None else rule.min - widen,
        high=None if rule.max is None else rule.max + widen,
        note=f"{rule.of} {measured.value:.10g}, {rule.to} {base:.10g}",
    )
    # Few rows excuse noise, not that the rows which there should be are missing.
    is_number = isinstance(context.rules.named(rule.of), SumRule | CountRule)
    expected = int(base) if is_number else 0
    judged = judged_from(replace(compared, rows=max(measured.rows or 0, expected)), rule.min_rows)
    return replace(judged, rows=measured.rows)


def _against_history(rule: HistoryRule, part: str, context: Context) -> Measurement:
    measured = context.taken[rule.of, part]
    source = context.rules.named(rule.of)
    empty = replace(blank(rule, part), rows=measured.rows)
    if measured.value is None:
        return replace(empty, reason=f"{rule.of}: {measured.reason}")
    values = context.past.values.get((context.rules.table, rule.of, part), {})
    anomalies = context.past.anomalies.get((context.rules.table, rule.name, part), ())
    noise = 0.0
    if isinstance(source, ShareRule) and measured.rows:
        # The larger of the two rates: a rate of 0 is not a measurement without error.
        rate = max(measured.value, median(values.values()) if values else 0.0)
        noise = math.sqrt(rate * (1 - rate) / measured.rows)
    elif isinstance(source, CountRule | TableRule):
        noise = math.sqrt(measured.value)
    deviation = against_history(
        context.day, measured.value, values, anomalies, min_days=context.min_days,
        floor=rule.floor, ceiling=rule.ceiling, least=rule.least, noise=noise,
    )  # fmt: skip
    if deviation is None:
        known = sum(1 for d in values if d < context.day)
        return replace(
            empty, reason=f"{known} earlier days, at least {context.min_days} are needed"
        )
    alike = " of the same weekday" if deviation.same_weekday else ""
    split = split_of_change(rule, part, context)
    compared = replace(
        empty,
        value=deviation.z,
        baseline=deviation.centre,
        note=f"{rule.of} {measured.value:.6g}, "
        f"median of {deviation.days} days{alike} {deviation.centre:.6g}"
        + (f"; {split}" if split else ""),
    )
    return judged_from(compared, rule.min_rows)


def _unchanged(rule: ChangeRule, part: str, context: Context) -> Measurement:
    measured = context.taken[rule.of, part]
    empty = replace(blank(rule, part), rows=measured.rows)
    if measured.value is None:
        return replace(empty, reason=f"{rule.of}: {measured.reason}")
    values = context.past.values.get((context.rules.table, rule.of, part), {})
    same = sorted(d for d, value in values.items() if d < context.day and value == measured.value)
    note = f"the same {rule.of} as {same[-1]}" if same else ""
    return judged_from(replace(empty, value=float(len(same)), note=note), rule.min_rows)


_MEASURES: dict[type[RuleBase], Callable[[Any, str, Context], Measurement]] = {
    GroupsRule: count_groups,
    ClicksRule: count_clicks,
    LeakRule: measure_leak,
    HashingRule: measure_hashing,
    CompareRule: _compare,
    HistoryRule: _against_history,
    ChangeRule: _unchanged,
    MixRule: compare_groups,
    RatesRule: compare_groups,
    PromisesRule: compare_promises,
    StabilityRule: measure_stability,
    EvidenceRule: gather_evidence,
}
"""How each kind is measured; those not named have one value in the metrics row."""


def errors(
    rules: TableRules, day: date, problems: Mapping[str, str], *, run_id: str, now: datetime
) -> list[QualityResult]:
    """Results of a day for the rules that could not be measured, and those about their measures.

    Parameters
    ----------
    problems : mapping of str to str
        What is wrong, by rule.
    """
    sound = {rule.name for rule in rules.without(problems).rule}
    return [
        replace(
            judge(blank(rule, part), table=rules.table, day=day, run_id=run_id, now=now),
            status="ERROR",
            details=problems.get(rule.name, "what it is about cannot be evaluated"),
        )
        for rule in rules.rule
        if rule.name not in sound
        for part in rule.slices
    ]

"""What a rule is judged from: the day's measures, and what is known of other tables and days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from pipelines.quality.history import unsuspicious_days
from pipelines.quality.past import Past
from pipelines.quality.results import Measurement
from pipelines.quality.rule_base import RuleBase
from pipelines.quality.rule_files import TableRules, metric_column

MetricsRow = Mapping[str, Any]
"""Aggregates of a table's day by their columns: numbers, and maps of counts."""


@dataclass(frozen=True)
class Context:
    """A table's day on the way to its measurements.

    Attributes
    ----------
    row : mapping
        The day's metrics row; empty where the table holds no row of the day.
    past : Past
        Of this table's earlier days and of the same day's other tables.
    min_days : int
        Days without which nothing is compared with history.
    taken : dict
        Measurements so far, by rule and slice.
    """

    rules: TableRules
    day: date
    row: MetricsRow
    past: Past
    min_days: int
    taken: dict[tuple[str, str], Measurement] = field(default_factory=dict)

    def aggregate(self, rule: RuleBase, part: str, what: str) -> Any:
        """Give an aggregate of a rule's slice; None where there is none."""
        return self.row.get(metric_column(rule.name, part, what))

    def rows(self, rule: RuleBase, part: str) -> int:
        """Rows that a rule's slice looks at."""
        return int(self.aggregate(rule, part, "rows") or 0)

    def states(self, check: str, of: str, part: str) -> dict[date, str]:
        """What a rule kept of the earlier days that a check compares with."""
        table = self.rules.table
        return unsuspicious_days(
            self.day,
            self.past.states.get((table, of, part), {}),
            self.past.anomalies.get((table, check, part), ()),
            min_days=self.min_days,
        )


def blank(rule: RuleBase, part: str) -> Measurement:
    """Give the measurement of a slice before anything is measured."""
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


def judged_from(measured: Measurement, min_rows: int) -> Measurement:
    """Keep the value on record but judge it only with enough rows."""
    if (measured.rows or 0) >= min_rows:
        return measured
    return replace(
        measured, reason=f"{measured.rows} rows, at least {min_rows} are needed to judge"
    )

"""Kinds of quality rules.

A rule names one measure of a table's day, the bounds it must keep and what happens when it does
not. Every measure is an SQL aggregate (of DuckDB), so that all rules of a table are one pass.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
from pipelines.quality.group_rules import ClicksRule, GroupsRule, HashingRule, LeakRule
from pipelines.quality.rule_base import RuleBase


class RowRule(RuleBase):
    """Share of rows for which an SQL expression gives a reason instead of null."""

    kind: Literal["row"]
    reason: str
    max: float | None = 0.0

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        condition = f"({self.reason}) IS NOT NULL"
        return {"value": self.counted(condition, part), "rows": self.rows_of(part)}


class ShareRule(RuleBase):
    """Share of rows for which a condition holds, such as a click rate."""

    kind: Literal["share"]
    condition: str

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        return {"value": self.counted(self.condition, part), "rows": self.rows_of(part)}


class CountRule(RuleBase):
    """Number of rows for which a condition holds."""

    kind: Literal["count"]
    condition: str = "true"

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        return {"value": self.counted(self.condition, part)}


class SumRule(RuleBase):
    """Sum of a number over rows, exact to 1e-6 so that the order of rows cannot change it.

    Attributes
    ----------
    whole : bool
        Whether all numbers are integers: their sum is exact at a fraction of the cost.
    """

    kind: Literal["sum"]
    expression: str
    whole: bool = False

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        total = f"sum(CAST(({self.expression}) AS {'BIGINT' if self.whole else 'DECIMAL(24, 6)'}))"
        return {"value": self.filtered(total, part), "rows": self.rows_of(part)}


class MeanRule(RuleBase):
    """Mean of a number over rows, exact to 1e-6 so that the order of rows cannot change it."""

    kind: Literal["mean"]
    expression: str

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        number = f"CAST(({self.expression}) AS DECIMAL(24, 6))"
        known = f"({self.expression}) IS NOT NULL"
        return {
            "value": self.filtered(f"sum({number})", part),
            "rows": self.counted(known, part),
        }


class ColumnRule(RuleBase):
    """Null share, least and greatest value, their range, mean or distinct values of a column."""

    kind: Literal["column"]
    column: str
    metric: Literal["null_share", "min", "max", "range", "mean", "distinct"]

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        name = f'"{self.column}"'
        if self.metric == "null_share":
            value = self.counted(f"{name} IS NULL", part)
        elif self.metric == "distinct":
            value = self.filtered(f"count(DISTINCT {name})", part)
        elif self.metric == "mean":
            value = self.filtered(f"avg(CAST({name} AS DECIMAL(24, 12)))", part)
        else:
            number = f"CAST({name} AS DOUBLE)"
            least, most = (self.filtered(f"{end}({number})", part) for end in ("min", "max"))
            value = {"min": least, "max": most, "range": f"{most} - {least}"}[self.metric]
        return {"value": value, "rows": self.rows_of(part)}


class TableRule(RuleBase):
    """Row count, rows beyond one per key, or hours of the day without a row.

    Keys are compared by their 64-bit hash: a million keys collide once in 40 million days. The
    hashes of a day are held in memory: meant for tables of up to a few million rows a day.
    """

    kind: Literal["table"]
    metric: Literal["rows", "duplicate_keys", "missing_hours"]
    column: str = "ts"

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        if self.metric == "rows":
            return {"value": self.rows_of(part)}
        if self.metric == "duplicate_keys":
            listed = ", ".join(f'"{key}"' for key in keys if key != "ds")
            distinct = self.filtered(f"count(DISTINCT hash({listed}))", part)
            value = f"{self.rows_of(part)} - {distinct}"
        else:
            # UTC, which hour() is not on every machine.
            hour = f'CAST((epoch_us("{self.column}") // 3600000000) % 24 AS INTEGER)'
            hours = self.filtered(f"bit_or(1 << {hour})", part)
            value = f"24 - bit_count({hours})"
        return {"value": value, "rows": self.rows_of(part)}


Rule = Annotated[
    RowRule
    | ShareRule
    | CountRule
    | SumRule
    | MeanRule
    | ColumnRule
    | TableRule
    | GroupsRule
    | ClicksRule
    | LeakRule
    | HashingRule
    | CompareRule
    | HistoryRule
    | ChangeRule
    | MixRule
    | RatesRule
    | StabilityRule
    | PromisesRule
    | EvidenceRule,
    Field(discriminator="kind"),
]

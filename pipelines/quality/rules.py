"""Kinds of quality rules.

A rule names one measure of a table's day, the bounds it must keep and what happens when it does
not. Every measure is an SQL aggregate (of DuckDB), so that all rules of a table are one pass.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Severity = Literal["block", "quarantine", "warn", "info"]


class _Rule(BaseModel):
    """What every rule has.

    Attributes
    ----------
    name : str
        Name of the check in `quality_results`.
    severity : str
        `block` stops the run, `quarantine` marks rows that ingest should have refused, `warn`
        alerts, `info` only records.
    why : str
        What goes wrong for whom when the rule is broken.
    owner : str
        Who is told, in the routes of alerts; empty: the owner of the table's rules.
    by : mapping
        One column and the values it is sliced by; empty: the whole day.
    where : str
        SQL condition for the rows looked at.
    min, max : float
        Inclusive bounds of the measure.
    min_rows : int
        With fewer rows than this the rule is skipped, not judged.
    cause : str
        What has happened when the rule is broken, in plain words, such as `clicks stopped
        arriving`. Broken rules of a day that share a cause are one finding, and one alert. Empty:
        the rule speaks for itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    severity: Severity
    why: str = Field(min_length=10)
    owner: str = ""
    by: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    where: str = ""
    min: float | None = None
    max: float | None = None
    min_rows: int = Field(default=0, ge=0)
    cause: str = ""

    @model_validator(mode="after")
    def _one_slicing_column(self) -> _Rule:
        if len(self.by) > 1:
            raise ValueError("`by` takes one column")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("`min` is above `max`")
        return self

    @property
    def slices(self) -> tuple[str, ...]:
        """Names of the slices; one empty name for the whole day."""
        return next(iter(self.by.values()), ("",))

    def selects(self, part: str) -> str:
        """Give the SQL condition for the rows of a slice."""
        conditions = [f"({self.where})"] if self.where else []
        for column in self.by:
            value = part.replace("'", "''")
            conditions.append(f"\"{column}\" = '{value}'")
        return " AND ".join(conditions)

    def aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        """Give a slice's SQL aggregates: `value`, and `rows` where the value is not a count."""
        return self._aggregates(part, keys)

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        raise NotImplementedError

    def _counted(self, condition: str, part: str) -> str:
        selected = self.selects(part)
        return f"count_if(({condition}) AND {selected})" if selected else f"count_if({condition})"

    def _filtered(self, aggregate: str, part: str) -> str:
        selected = self.selects(part)
        return f"{aggregate} FILTER (WHERE {selected})" if selected else aggregate

    def _rows(self, part: str) -> str:
        return f"count_if({self.selects(part) or 'true'})"


class RowRule(_Rule):
    """Share of rows for which an SQL expression gives a reason instead of null."""

    kind: Literal["row"]
    reason: str
    max: float | None = 0.0

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        condition = f"({self.reason}) IS NOT NULL"
        return {"value": self._counted(condition, part), "rows": self._rows(part)}


class ShareRule(_Rule):
    """Share of rows for which a condition holds, such as a click rate."""

    kind: Literal["share"]
    condition: str

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        return {"value": self._counted(self.condition, part), "rows": self._rows(part)}


class CountRule(_Rule):
    """Number of rows for which a condition holds."""

    kind: Literal["count"]
    condition: str = "true"

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        return {"value": self._counted(self.condition, part)}


class SumRule(_Rule):
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
        return {"value": self._filtered(total, part), "rows": self._rows(part)}


class ColumnRule(_Rule):
    """Null share, least and greatest value, their range, mean or distinct values of a column."""

    kind: Literal["column"]
    column: str
    metric: Literal["null_share", "min", "max", "range", "mean", "distinct"]

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        name = f'"{self.column}"'
        if self.metric == "null_share":
            value = self._counted(f"{name} IS NULL", part)
        elif self.metric == "distinct":
            value = self._filtered(f"count(DISTINCT {name})", part)
        elif self.metric == "mean":
            value = self._filtered(f"avg(CAST({name} AS DECIMAL(24, 12)))", part)
        else:
            number = f"CAST({name} AS DOUBLE)"
            least, most = (self._filtered(f"{end}({number})", part) for end in ("min", "max"))
            value = {"min": least, "max": most, "range": f"{most} - {least}"}[self.metric]
        return {"value": value, "rows": self._rows(part)}


class TableRule(_Rule):
    """Row count, rows beyond one per key, or hours of the day without a row.

    Keys are compared by their 64-bit hash: a million keys collide once in 40 million days. The
    hashes of a day are held in memory: meant for tables of up to a few million rows a day.
    """

    kind: Literal["table"]
    metric: Literal["rows", "duplicate_keys", "missing_hours"]
    column: str = "ts"

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        if self.metric == "rows":
            return {"value": self._rows(part)}
        if self.metric == "duplicate_keys":
            listed = ", ".join(f'"{key}"' for key in keys if key != "ds")
            distinct = self._filtered(f"count(DISTINCT hash({listed}))", part)
            value = f"{self._rows(part)} - {distinct}"
        else:
            # UTC, which hour() is not on every machine.
            hour = f'CAST((epoch_us("{self.column}") // 3600000000) % 24 AS INTEGER)'
            hours = self._filtered(f"bit_or(1 << {hour})", part)
            value = f"24 - bit_count({hours})"
        return {"value": value, "rows": self._rows(part)}


class _DerivedRule(_Rule):
    """A rule about a measure that another rule of the table takes, slice by slice."""

    of: str

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        return {}


class CompareRule(_DerivedRule):
    """A measure divided by another one of the same day, of this or another table.

    Attributes
    ----------
    of : str
        Rule of this table whose value is the numerator.
    to : str
        `rule`, or `table.rule` of a table that is checked earlier in the run.
    noise : float
        Widens the bounds by this many times 1 / sqrt(rows of `of`): counting noise.
    """

    kind: Literal["compare"]
    to: str
    noise: float = Field(default=0.0, ge=0)


class HistoryRule(_DerivedRule):
    """Robust z of a measure against its own last days.

    Attributes
    ----------
    floor : float
        Least spread, as a share of the median: changes smaller than this are never anomalies.
    """

    kind: Literal["history"]
    floor: float = Field(default=0.05, gt=0)


Rule = Annotated[
    RowRule | ShareRule | CountRule | SumRule | ColumnRule | TableRule | CompareRule | HistoryRule,
    Field(discriminator="kind"),
]

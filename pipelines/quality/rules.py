"""Quality rules as data: one rule file per table, checked when it is loaded.

A rule names one measure of a table's day, the bounds it must keep and what happens when it does
not. Every measure is an SQL aggregate, so that all rules of a table are one pass over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.catalog import TABLES

Severity = Literal["block", "quarantine", "warn", "info"]


class RuleError(ValueError):
    """A rule file does not say what can be checked."""


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
    by : mapping
        One column and the values it is sliced by; empty: the whole day.
    where : str
        SQL condition for the rows looked at.
    min, max : float
        Inclusive bounds of the measure.
    min_rows : int
        With fewer rows than this the rule is skipped, not judged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    severity: Severity
    why: str = Field(min_length=10)
    by: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    where: str = ""
    min: float | None = None
    max: float | None = None
    min_rows: int = Field(default=0, ge=0)

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
            value = part.replace("\\", "\\\\").replace("'", "\\'")
            conditions.append(f"`{column}` = '{value}'")
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
    """Sum of a number over rows, exact to 1e-6 so that the order of rows cannot change it."""

    kind: Literal["sum"]
    expression: str

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        total = f"sum(CAST(({self.expression}) AS DECIMAL(24, 6)))"
        return {"value": self._filtered(total, part), "rows": self._rows(part)}


class ColumnRule(_Rule):
    """Null share, range, mean or number of distinct values of a column."""

    kind: Literal["column"]
    column: str
    metric: Literal["null_share", "min", "max", "mean", "distinct"]

    def _aggregates(self, part: str, keys: tuple[str, ...]) -> dict[str, str]:
        name = f"`{self.column}`"
        if self.metric == "null_share":
            value = self._counted(f"{name} IS NULL", part)
        elif self.metric == "distinct":
            hashes = f"collect_set(if({name} IS NULL, NULL, xxhash64({name})))"
            value = f"size({self._filtered(hashes, part)})"
        elif self.metric == "mean":
            value = self._filtered(f"avg(CAST({name} AS DECIMAL(24, 12)))", part)
        else:
            value = self._filtered(f"{self.metric}(CAST({name} AS DOUBLE))", part)
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
            listed = ", ".join(f"`{key}`" for key in keys if key != "ds")
            distinct = self._filtered(f"collect_set(xxhash64({listed}))", part)
            value = f"{self._rows(part)} - size({distinct})"
        else:
            hours = self._filtered(f"bit_or(shiftleft(1, hour(`{self.column}`)))", part)
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


class TableRules(BaseModel):
    """The rules of one table, in the order in which they are reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    rule: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _derived_rules_share_slices(cls, data: Any) -> Any:
        if not isinstance(data, Mapping) or not isinstance(data.get("rule"), list):
            return data
        slices: dict[Any, Any] = {}
        shared = []
        for rule in data["rule"]:
            if isinstance(rule, Mapping):
                by = rule.get("by", slices.get(rule.get("of"), {}))
                rule = {**rule, "by": by}
                slices[rule.get("name")] = by
            shared.append(rule)
        return {**data, "rule": shared}

    @model_validator(mode="after")
    def _names_resolve(self) -> TableRules:
        if self.table not in TABLES:
            raise ValueError(f"there is no table {self.table}")
        columns = TABLES[self.table].column_names
        by_name: dict[str, Rule] = {}
        for rule in self.rule:
            if rule.name in by_name:
                raise ValueError(f"rule {rule.name} is there twice")
            named = [*rule.by, rule.column] if isinstance(rule, ColumnRule) else [*rule.by]
            unknown = [name for name in named if name not in columns]
            if unknown:
                raise ValueError(f"rule {rule.name}: no column {', '.join(unknown)}")
            if isinstance(rule, CompareRule | HistoryRule):
                source = by_name.get(rule.of)
                if source is None:
                    raise ValueError(f"rule {rule.name}: no rule {rule.of} before it")
                if rule.slices != source.slices:
                    raise ValueError(f"rule {rule.name}: its slices differ from those of {rule.of}")
            by_name[rule.name] = rule
        return self

    def named(self, name: str) -> Rule:
        """Find a rule by its name."""
        return next(rule for rule in self.rule if rule.name == name)

    def aggregates(self) -> dict[str, str]:
        """All SQL aggregates of the table, by the column of the metrics row that holds them."""
        keys = TABLES[self.table].keys
        return {
            metric_column(rule.name, part, what): sql
            for rule in self.rule
            for part in rule.slices
            for what, sql in rule.aggregates(part, keys).items()
        }


def metric_column(rule: str, part: str, what: str) -> str:
    """Column of the metrics row for a measure of a rule's slice.

    >>> metric_column("click_rate", "promoted", "rows")
    'click_rate|promoted|rows'
    """
    return f"{rule}|{part}|{what}"


def load_rules(files: Mapping[str, Mapping[str, Any]]) -> dict[str, TableRules]:
    """Check parsed rule files and give the rules by table.

    Parameters
    ----------
    files : mapping of str to mapping
        Parsed TOML by file name, for messages.

    Raises
    ------
    RuleError
        With the file and every problem in it.
    """
    rules: dict[str, TableRules] = {}
    for name, content in sorted(files.items()):
        try:
            loaded = TableRules.model_validate(content)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
                for problem in error.errors()
            )
            raise RuleError(f"{name}: {problems}") from error
        if loaded.table in rules:
            raise RuleError(f"{name}: table {loaded.table} has two rule files")
        rules[loaded.table] = loaded
    for loaded in rules.values():
        for rule in loaded.rule:
            if isinstance(rule, CompareRule):
                _check_reference(loaded, rule, rules)
    return rules


def reference(table: str, to: str) -> tuple[str, str]:
    """Table and rule that a comparison names."""
    other, dot, name = to.rpartition(".")
    return (other, name) if dot else (table, name)


def _check_reference(
    loaded: TableRules, rule: CompareRule, rules: Mapping[str, TableRules]
) -> None:
    other, name = reference(loaded.table, rule.to)
    found = [r for r in rules[other].rule if r.name == name] if other in rules else []
    if not found:
        raise RuleError(f"{loaded.table}.{rule.name}: there is no rule {other}.{name}")
    if found[0].slices not in (rule.slices, ("",)):
        raise RuleError(f"{loaded.table}.{rule.name}: its slices differ from those of {rule.to}")

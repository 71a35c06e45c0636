"""Rule files: the rules of each table, checked against the tables when they are loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from pipelines.quality.comparison_rules import (
    CompareRule,
    ComparisonRule,
    EvidenceRule,
    HistoryRule,
    MixRule,
    PromisesRule,
    RatesRule,
    StabilityRule,
)
from pipelines.quality.group_rules import ClicksRule, GroupsRule, HashingRule, LeakRule
from pipelines.quality.rule_base import RuleBase
from pipelines.quality.rules import ColumnRule, Rule, TableRule
from schemas.catalog import TABLES

COLUMNS = "columns"


class RuleError(ValueError):
    """A rule file does not say what can be checked."""


class TableRules(BaseModel):
    """The rules of one table, in the order in which they are reported.

    Attributes
    ----------
    table : str
        A table of this project; of another table, whose rules `promoted-ctr check` takes, any name.
    keys : tuple of str
        Columns that no two rows of a day share, of another table: what `duplicate_keys` counts.
    owner : str
        Who is told when one of them is broken, in the routes of alerts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    keys: tuple[str, ...] = ()
    owner: str = ""
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
    def _names_resolve(self, info: ValidationInfo) -> TableRules:
        given = (info.context or {}).get(COLUMNS)
        columns = given or _declared(self)
        if unknown := [key for key in self.keys if key not in columns]:
            raise ValueError(f"keys: no column {', '.join(unknown)}")
        by_name: dict[str, Rule] = {}
        for rule in self.rule:
            if rule.name in by_name:
                raise ValueError(f"rule {rule.name} is there twice")
            named = [*rule.by, rule.column] if isinstance(rule, ColumnRule) else [*rule.by]
            if isinstance(rule, HashingRule):
                named.append(rule.slot)
            unknown = [name for name in named if name not in columns]
            if unknown:
                raise ValueError(f"rule {rule.name}: no column {', '.join(unknown)}")
            if given and not self.keys and _looks_at_keys(rule):
                raise ValueError(f"rule {rule.name}: say `keys` of the table in the file")
            if isinstance(rule, ComparisonRule):
                _check_source(rule, rule.of, _SOURCES.get(type(rule), RuleBase), by_name)
                for name in rule.split_by if isinstance(rule, HistoryRule) else ():
                    _check_source(rule, name, GroupsRule, by_name)
            by_name[rule.name] = rule
        return self

    def named(self, name: str) -> Rule:
        """Find a rule by its name."""
        return next(rule for rule in self.rule if rule.name == name)

    def without(self, names: Collection[str]) -> TableRules:
        """Leave out some rules, and all that are about what these measure."""
        left_out = set(names)
        kept: list[Rule] = []
        for rule in self.rule:
            needed = {rule.of} if isinstance(rule, ComparisonRule) else set()
            needed |= set(rule.split_by) if isinstance(rule, HistoryRule) else set()
            if rule.name in left_out or needed & left_out:
                left_out.add(rule.name)
            else:
                kept.append(rule)
        return self.model_copy(update={"rule": tuple(kept)})

    def aggregates(self) -> dict[str, str]:
        """All SQL aggregates of the table, by the column of the metrics row that holds them."""
        keys = self.keys or (TABLES[self.table].keys if self.table in TABLES else ())
        return {
            metric_column(rule.name, part, what): sql
            for rule in self.rule
            for part in rule.slices
            for what, sql in rule.aggregates(part, keys).items()
        }


_SOURCES: dict[type[RuleBase], type[RuleBase]] = {
    MixRule: GroupsRule,
    RatesRule: GroupsRule,
    StabilityRule: GroupsRule,
    PromisesRule: ClicksRule,
    EvidenceRule: ClicksRule,
}
"""Kinds of rules that are about measures of one other kind."""


def _check_source(
    rule: ComparisonRule, name: str, wanted: type[RuleBase], before: Mapping[str, Rule]
) -> None:
    source = before.get(name)
    if source is None:
        raise ValueError(f"rule {rule.name}: no rule {name} before it")
    if not isinstance(source, wanted):
        raise ValueError(f"rule {rule.name}: {name} is no {wanted.__name__}")
    if rule.slices != source.slices:
        raise ValueError(f"rule {rule.name}: its slices differ from those of {name}")


def _looks_at_keys(rule: Rule) -> bool:
    counts = isinstance(rule, TableRule) and rule.metric == "duplicate_keys"
    return counts or isinstance(rule, LeakRule)


def _declared(rules: TableRules) -> tuple[str, ...]:
    if rules.table not in TABLES:
        raise ValueError(f"there is no table {rules.table}")
    if rules.keys:
        raise ValueError(f"the keys of {rules.table} are declared: leave out `keys`")
    return TABLES[rules.table].column_names


def metric_column(rule: str, part: str, what: str) -> str:
    """Column of the metrics row for a measure of a rule's slice.

    >>> metric_column("click_rate", "promoted", "rows")
    'click_rate|promoted|rows'
    """
    return f"{rule}|{part}|{what}"


def load_rules(
    files: Mapping[str, Mapping[str, Any]], columns: Sequence[str] | None = None
) -> dict[str, TableRules]:
    """Check parsed rule files and give the rules by table.

    Parameters
    ----------
    files : mapping of str to mapping
        Parsed TOML by file name, for messages.
    columns : sequence of str, optional
        Of the table, where it is not one of this project.

    Raises
    ------
    RuleError
        With the file and every problem in it.
    """
    rules: dict[str, TableRules] = {}
    for name, content in sorted(files.items()):
        try:
            loaded = TableRules.model_validate(content, context={COLUMNS: columns})
        except ValidationError as error:
            problems = "; ".join(
                ": ".join(filter(None, (".".join(map(str, problem["loc"])), _said(problem["msg"]))))
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


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def reference(table: str, to: str) -> tuple[str, str]:
    """Table and rule that a comparison names."""
    other, dot, name = to.rpartition(".")
    return (other, name) if dot else (table, name)


def compared_tables(rules: TableRules) -> set[str]:
    """Name a table and all that its rules compare it with."""
    compared = [rule for rule in rules.rule if isinstance(rule, CompareRule)]
    return {rules.table, *(reference(rules.table, rule.to)[0] for rule in compared)}


def _check_reference(
    loaded: TableRules, rule: CompareRule, rules: Mapping[str, TableRules]
) -> None:
    other, name = reference(loaded.table, rule.to)
    named = [r for r in rules[other].rule if r.name == name] if other in rules else []
    if not named:
        raise RuleError(f"{loaded.table}.{rule.name}: there is no rule {other}.{name}")
    if named[0].slices not in (rule.slices, ("",)):
        raise RuleError(f"{loaded.table}.{rule.name}: its slices differ from those of {rule.to}")

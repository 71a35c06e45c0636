"""All measures of a table's days in one SQL aggregation, by DuckDB over Arrow.

A table's measures read two or three of its columns once. In Spark, compiling the aggregate of a
table costs more than a day's rows do, and the start of a session more than that.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pyarrow.dataset as ds

from pipelines.memory import give_back_memory
from pipelines.quality.context import MetricsRow
from pipelines.quality.duck import connect
from pipelines.quality.group_rules import LeakRule
from pipelines.quality.rule_files import TableRules

_ROWS_WITH_KEYS = 1_000
MeasureError = duckdb.Error
"""A rule's SQL cannot be evaluated over the rows of its table."""


def measure(rows: ds.Dataset, rules: TableRules, day: str = "ds") -> dict[date, MetricsRow]:
    """Measure every day of a table.

    Parameters
    ----------
    rows : pyarrow.dataset.Dataset
        Of the table, its day included; only the columns that the rules name are read.
    day : str
        SQL of a row's day.

    Returns
    -------
    dict
        One value per aggregate of the rules; days without rows are left out.

    Raises
    ------
    MeasureError
    """
    rules = _with_attributes(rows, rules)
    aggregates = rules.aggregates()
    if not aggregates:
        return {}
    listed = ", ".join(f'{sql} AS "{name}"' for name, sql in aggregates.items())
    with connect() as connection:
        measured = connection.from_arrow(rows).aggregate(f"{day}, {listed}", day).fetchall()
    # What was read of a large day is free again, and would stay with this process.
    give_back_memory()
    return {
        at: {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in zip(aggregates, values, strict=True)
        }
        for at, *values in measured
    }


def problems_of(rows: ds.Dataset, rules: TableRules, day: str = "ds") -> dict[str, str]:
    """Find the rules that cannot be measured, each with what DuckDB says of it."""
    problems = {}
    for rule in rules.rule:
        try:
            measure(rows, rules.model_copy(update={"rule": (rule,)}), day)
        except MeasureError as error:
            said = str(error).strip().splitlines()[0][:300]
            problems[rule.name] = f"cannot be evaluated: {said}"
    return problems


def _with_attributes(rows: ds.Dataset, rules: TableRules) -> TableRules:
    """Name the keys of map columns, as features whose knowledge of the label is measured."""
    columns = {rule.attributes for rule in rules.rule if isinstance(rule, LeakRule)} - {""}
    if not columns:
        return rules
    keys = {}
    for column in sorted(columns):
        # The first rows are enough: a source gives every row the same keys.
        maps = rows.head(_ROWS_WITH_KEYS, columns=[column])[column]
        keys[column] = tuple(sorted({key for row in maps.to_pylist() for key, _ in row or ()}))
    return rules.model_copy(
        update={
            "rule": tuple(
                rule.of_attributes(keys[rule.attributes])
                if isinstance(rule, LeakRule) and rule.attributes
                else rule
                for rule in rules.rule
            )
        }
    )

"""All measures of a table's days in one SQL aggregation, by DuckDB over Arrow.

A table's measures read two or three of its columns once. In Spark, compiling the aggregate of a
table costs more than a day's rows do, and the start of a session more than that.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pyarrow.dataset as ds

from pipelines.quality.evaluate import MetricsRow
from pipelines.quality.rule_files import TableRules

MeasureError = duckdb.Error
"""A rule's SQL cannot be evaluated over the rows of its table."""


def measure(rows: ds.Dataset, rules: TableRules) -> dict[date, MetricsRow]:
    """Measure every day of a table.

    Parameters
    ----------
    rows : pyarrow.dataset.Dataset
        Of the table, `ds` included; only the columns that the rules name are read.

    Returns
    -------
    dict
        One value per aggregate of the rules; days without rows are left out.

    Raises
    ------
    MeasureError
    """
    aggregates = rules.aggregates()
    listed = ", ".join(f'{sql} AS "{name}"' for name, sql in aggregates.items())
    with duckdb.connect() as connection:
        measured = connection.from_arrow(rows).aggregate(f"ds, {listed}", "ds").fetchall()
    return {
        day: {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in zip(aggregates, values, strict=True)
        }
        for day, *values in measured
    }

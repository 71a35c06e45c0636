"""All measures of a table's days in one Spark aggregation."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.quality.evaluate import MetricsRow
from pipelines.quality.rule_files import TableRules


def metrics(frame: DataFrame, rules: TableRules) -> DataFrame:
    """Aggregate a table's rows to one metrics row per day.

    Returns
    -------
    DataFrame
        ``ds`` and one column per aggregate of the rules; days without rows have no row.
    """
    return frame.groupBy("ds").agg(
        *(F.expr(sql).alias(name) for name, sql in rules.aggregates().items())
    )


def collect_metrics(frame: DataFrame, rules: TableRules) -> dict[date, MetricsRow]:
    """Run the aggregation and give the metrics rows by day (an action)."""
    return {
        row["ds"]: {
            name: float(value) if isinstance(value, Decimal) else value
            for name, value in row.asDict().items()
            if name != "ds"
        }
        for row in metrics(frame, rules).collect()
    }

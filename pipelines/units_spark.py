"""Units of work, such as files or days, spread over tasks (Spark side).

What is done with a unit is a function of its number. It runs where Spark puts it, and again where
Spark has to, so it must give the same for the same number.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Batches = Iterator[pa.RecordBatch]


def unit_frame(spark: SparkSession, count: int) -> DataFrame:
    """The numbers 0 to count - 1 as `id`, spread over the tasks."""
    slices = max(1, min(count, 2 * spark.sparkContext.defaultParallelism))
    return spark.range(0, count, 1, slices)


def unit_kernel(run: Callable[[int], Batches]) -> Callable[[Batches], Batches]:
    """What a task does with batches of `unit_frame`: run each of its units."""

    def each(batches: Batches) -> Batches:
        for batch in batches:
            for number in batch.column("id").to_pylist():
                yield from run(number)

    return each


def map_units(
    spark: SparkSession, count: int, run: Callable[[int], Batches], ddl: str
) -> DataFrame:
    """What tasks make of units of work, as a frame.

    Parameters
    ----------
    run : callable
        Gives rows for a unit's number; runs in a task.
    ddl : str
        Columns of the rows.
    """
    return unit_frame(spark, count).mapInArrow(unit_kernel(run), ddl)


def collect_units(
    spark: SparkSession, count: int, run: Callable[[int], Batches], ddl: str
) -> pa.Table:
    """`map_units`, on the driver: for small results."""
    return map_units(spark, count, run, ddl).toArrow()


def collect_found(spark: SparkSession, count: int, find: Callable[[int], Any]) -> list[Any]:
    """What tasks find out about units of work, on the driver, by the units' numbers.

    Parameters
    ----------
    find : callable
        Gives what JSON can tell, for a unit's number; runs in a task.
    """

    def run(number: int) -> Batches:
        yield pa.RecordBatch.from_pydict(
            {"number": pa.array([number], pa.int64()), "found": [json.dumps(find(number))]}
        )

    made = collect_units(spark, count, run, "number bigint, found string")
    return [json.loads(text) for text in made.sort_by("number")["found"].to_pylist()]

"""What it costs to move impressions between tasks, packed and row by row, in one run.

``python -m tests.benchmarks.moving_rows [--rows 2000000]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from jobs.setup.config_layers import load_config
from jobs.setup.exits import leave
from jobs.setup.session import start_session
from jobs.storage.contracts import arrow_schema
from pipelines.packed_rows_spark import Placed, moved_units, unpacked_by_place
from pipelines.parts import part_of
from pipelines.units_spark import Batches, map_units
from schemas.logs import LOGS
from schemas.table import Column
from tests.benchmarks.processes import PeakMemory
from tests.benchmarks.scale_world import FIRST, ScaleWorld

PLACES, ROUNDS = 4, 3


def main() -> None:
    """Move, count, print."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.moving_rows", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    given = parser.parse_args()
    world = ScaleWorld(given.rows, 1, files=PLACES)
    parts = [shown for shown, _ in world.traffic(FIRST)]
    spark = start_session(load_config(environment={}), "moving rows")
    columns: tuple[Column, ...] = LOGS["impressions"]
    fields = [T.StructField(column.name, column.type, True) for column in columns]
    kinds = T.StructType([*fields, T.StructField("place", T.IntegerType())])
    schema = pa.schema([arrow_schema("impressions").field(column.name) for column in columns])
    shared = spark.sparkContext.broadcast(parts)

    def placed(number: int) -> Placed:
        rows = shared.value[number].cast(schema)
        yield part_of(rows["impression_id"], PLACES), rows

    def one_by_one(number: int) -> Batches:
        for place, rows in placed(number):
            yield from rows.append_column("place", pa.array(place)).to_batches()

    def packed() -> DataFrame:
        moved = moved_units(spark, PLACES, placed, PLACES)
        return moved.mapInArrow(
            lambda batches: _counted(r for _, r in unpacked_by_place(batches, whole=False)), "n int"
        )

    def row_by_row() -> DataFrame:
        moved = map_units(spark, PLACES, one_by_one, kinds).repartitionById(PLACES, "place")
        return moved.mapInArrow(_counted, "n int")

    ways: dict[str, Callable[[], DataFrame]] = {"packed": packed, "row by row": row_by_row}
    with PeakMemory() as meter:
        for number in range(ROUNDS):
            told = []
            for name, move in ways.items():
                before = meter.cpu_seconds()
                count = sum(move().toArrow()["n"].to_pylist())
                cost = (meter.cpu_seconds() - before) / count * 1e6
                told.append(f"{name} {cost:.1f}")
            print(f"round {number + 1}: CPU-s a million rows: {', '.join(told)}", flush=True)
    leave(0)


def _counted(rows: Iterator[pa.RecordBatch | pa.Table]) -> Batches:
    yield pa.RecordBatch.from_pydict({"n": pa.array([sum(r.num_rows for r in rows)], pa.int32())})


if __name__ == "__main__":
    main()

"""Count impressions, clicks and position-expected clicks per entity and surface.

Grain: day, entity and surface. Integers only, so that sums are the same in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs.commands.job import job_main
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_files import DataFile, read_file, read_files
from jobs.storage.task_writes import write_frame, write_units
from pipelines.days import with_day
from pipelines.logs.counts import (
    HOME_COLUMNS,
    TRAFFIC_COLUMNS,
    count_entities,
    count_positions,
    position_rates,
)
from pipelines.units_spark import collect_units, map_units
from schemas.logs import ENTITY_COUNTS


def run(step: Step) -> Outcome:
    """Count all days of the step, file by file."""
    days = list(step.days)
    shown = step.tables.files("labeled_impressions", days)
    listed = step.tables.files("listings", days)
    schemas = {name: arrow_schema(name) for name in ("labeled_impressions", "listings")}
    rates = _position_rates(step, shown)

    def count(number: int) -> Iterator[pa.RecordBatch]:
        file = shown[number]
        counted = count_entities(
            read_file(file, schemas["labeled_impressions"], TRAFFIC_COLUMNS),
            read_files(
                [snapshot for snapshot in listed if snapshot.ds == file.ds],
                schemas["listings"],
                HOME_COLUMNS,
            ),
            rates[file.ds],
        )
        yield from with_day(counted, file.ds).to_batches()

    if len({file.ds for file in shown}) == len(shown):
        write_units(step.tables, "entity_counts", len(shown), count, days)
    else:
        sums = [name for name in ENTITY_COUNTS.column_names if name not in ENTITY_COUNTS.keys]
        whole = (
            map_units(step.spark, len(shown), count, ENTITY_COUNTS.frame_struct)
            .groupBy(*ENTITY_COUNTS.keys)
            .agg(*(F.sum(name).alias(name) for name in sums))
        )
        write_frame(step.tables, "entity_counts", whole.coalesce(2), days)
    return {day: DayRecord() for day in days}


def _position_rates(step: Step, shown: Sequence[DataFile]) -> dict[date, pa.Table]:
    """Rates by position of each day, from the counts of its files."""
    schema = arrow_schema("labeled_impressions")
    columns = ["is_valid_traffic", "clicked", "surface", "position"]

    def count(number: int) -> Iterator[pa.RecordBatch]:
        file = shown[number]
        counted = count_positions(read_file(file, schema, columns))
        yield from with_day(counted, file.ds).to_batches()

    counted = collect_units(
        step.spark, len(shown), count,
        "surface string, position int, impressions bigint, clicks bigint, ds date",
    )  # fmt: skip
    strength = step.config.history.position_strength
    return {
        day: position_rates(counted.filter(pc.equal(counted["ds"], day)), strength=strength)
        for day in step.days
    }


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr count_entities``."""
    return job_main("count_entities", argv)


if __name__ == "__main__":
    leave(main())

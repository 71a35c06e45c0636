"""Count impressions, clicks and position-expected clicks per entity and surface.

Grain: day, entity and surface. Integers only, so that sums are the same in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import wanted
from jobs.storage.slices import Slice
from jobs.storage.stored_parts import Parts
from jobs.storage.task_writes import write_parts
from pipelines.days import with_day
from pipelines.logs.counts import (
    HOME_COLUMNS,
    TRAFFIC_COLUMNS,
    add_counts,
    count_entities,
    count_positions,
    position_rates,
)
from pipelines.parts import part_of
from pipelines.units_spark import collect_units


def run(step: Step) -> Outcome:
    """Count all days of the step, slice by slice; the counts of a day's slices are added up."""
    days = list(step.days)
    shown = step.tables.slices("labeled_impressions", days)
    listings = step.tables.day_reader("listings", days, HOME_COLUMNS)
    schema = arrow_schema("labeled_impressions")
    rates = _position_rates(step, shown)
    parts = step.tables.parts("labeled_impressions", days)

    def count(number: int) -> Iterator[pa.RecordBatch]:
        day = shown[number].ds
        traffic = shown[number].read(schema, TRAFFIC_COLUMNS)
        homes = listings
        if parts[day] > 1:
            homes = listings.where(wanted(listing_id=traffic["listing_id"]))
        counted = count_entities(traffic, homes(day), rates[day])
        yield from with_day(counted, day).to_batches()

    by_entity = Parts(parts, lambda counts, count: part_of(counts["entity_id"], count), add_counts)
    write_parts(step.tables, "entity_counts", len(shown), count, days, by_entity)
    return {day: DayRecord() for day in days}


def _position_rates(step: Step, shown: Sequence[Slice]) -> dict[date, pa.Table]:
    """Rates by position of each day, from the counts of its files."""
    schema = arrow_schema("labeled_impressions")
    columns = ["is_valid_traffic", "clicked", "surface", "position"]

    def count(number: int) -> Iterator[pa.RecordBatch]:
        counted = count_positions(shown[number].read(schema, columns))
        yield from with_day(counted, shown[number].ds).to_batches()

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

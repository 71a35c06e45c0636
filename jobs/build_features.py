"""Hash the sampled impressions into packed rows, in training order.

Grain: sampled impression. Only the sample is hashed and stored; natural traffic is hashed and
scored in one pass elsewhere, by the same assembling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.inputs import assembler, read_strengths
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.day_reader import wanted
from jobs.storage.task_writes import write_unit_tables
from pipelines.features.feature_rows import (
    CONTEXT_ENTITIES,
    LISTING_ENTITIES,
    Names,
    assemble_listings,
    build_features,
    entity_ids,
    with_history,
)


def run(step: Step) -> Outcome:
    """Build the features of all days of the step, each day in one task."""
    days = list(step.days)
    made = assembler(step.config, read_strengths(step.tables, days))
    reader = step.tables.day_reader
    history, listings = reader("entity_history", days), reader("listings", days)
    samples = reader("training_samples", days)
    parts = step.tables.parts("entity_history", days)

    def build(number: int) -> Iterator[tuple[str, pa.Table]]:
        day = days[number]
        names = Names()
        sampled, snapshot = samples(day), listings(day)
        own_history = history
        if parts[day] > 1:
            own_history = history.where(wanted(entity_id=entity_ids(sampled, snapshot)))
        known = own_history(day)
        listing_rows = assemble_listings(
            with_history(snapshot, known, LISTING_ENTITIES), made, names
        )
        contexts = with_history(sampled, known, CONTEXT_ENTITIES)
        yield "features", build_features(contexts, listing_rows, made, names)
        yield "feature_names", names.table()

    write_unit_tables(step.tables, ["features", "feature_names"], len(days), build, days)
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_features``."""
    return job_main("build_features", argv)


if __name__ == "__main__":
    leave(main())

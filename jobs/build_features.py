"""Hash the sampled impressions into packed rows, in training order.

Grain: sampled impression. Only the sample is hashed and stored; natural traffic is hashed and
scored in one pass elsewhere, by the same assembling. The values behind the hashes are kept of all
listings of the day, sampled or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.inputs import assembler, read_strengths
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import wanted
from jobs.storage.slices import Slice
from jobs.storage.task_writes import Parts, write_unit_tables
from pipelines.features.feature_rows import (
    CONTEXT_ENTITIES,
    LISTING_ENTITIES,
    Names,
    added_names,
    assemble_listings,
    build_features,
    entity_ids,
    listing_entity_ids,
    with_history,
)
from pipelines.parts import part_in_order, part_of


def run(step: Step) -> Outcome:
    """Build the features of all days of the step, slice by slice."""
    days = list(step.days)
    made = assembler(step.config, read_strengths(step.tables, days))
    history = step.tables.day_reader("entity_history", days)
    listings = step.tables.day_reader("listings", days)
    samples = step.tables.slices("training_samples", days)
    snapshots = step.tables.slices("listings", days)
    parts = {name: step.tables.parts(name, days) for name in ("training_samples", "listings")}

    def of_listings(one: Slice, names: Names) -> None:
        snapshot = one.read(arrow_schema("listings"))
        known = history.where(wanted(entity_id=listing_entity_ids(snapshot)))(one.ds)
        assemble_listings(with_history(snapshot, known, LISTING_ENTITIES), made, names)

    def of_sample(one: Slice, names: Names) -> pa.Table:
        sampled = one.read(arrow_schema("training_samples"))
        shown = listings.where(wanted(listing_id=sampled["listing_id"]))(one.ds)
        known = history.where(wanted(entity_id=entity_ids(sampled, shown)))(one.ds)
        listing_rows = assemble_listings(with_history(shown, known, LISTING_ENTITIES), made)
        contexts = with_history(sampled, known, CONTEXT_ENTITIES)
        return build_features(contexts, listing_rows, made, names)

    every: list[tuple[Slice, Callable[[Slice, Names], pa.Table | None]]] = [
        *((one, of_listings) for one in snapshots),
        *((one, of_sample) for one in samples),
    ]
    # What is small of a day is made in one go.
    small = [day for day in days if all(count[day] == 1 for count in parts.values())]
    units = [[work for work in every if work[0].ds == day] for day in small]
    units += [[work] for work in every if work[0].ds not in small]

    def build(number: int) -> Iterator[tuple[str, pa.Table]]:
        names = Names()
        for one, make in units[number]:
            features = make(one, names)
            if features is not None:
                yield "features", features
        yield "feature_names", names.table()

    in_order = Parts(
        parts["training_samples"],
        lambda rows, count: part_in_order(rows["order_key"].to_numpy(), count),
        lambda rows: rows.sort_by("order_key"),
    )
    each_once = Parts(
        {day: max(count[day] for count in parts.values()) for day in days},
        lambda rows, count: part_of(rows["value"], count),
        added_names,
    )
    write_unit_tables(
        step.tables, len(units), build, days, {"features": in_order, "feature_names": each_once}
    )
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_features``."""
    return job_main("build_features", argv)


if __name__ == "__main__":
    leave(main())

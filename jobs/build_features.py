"""Hash the sampled impressions into packed rows, in training order.

Grain: sampled impression. Only the sample is hashed and stored; natural traffic is hashed and
scored in one pass elsewhere, by the same assembling. Listing scope is hashed once a listing; the
values behind the hashes are kept of all listings of the day, sampled or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.histories import contexts_with_history, listings_with_history
from jobs.planning.inputs import assembler, read_strengths
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import wanted
from jobs.storage.stored_parts import Parts
from jobs.storage.task_writes import unit_table_files
from pipelines.features.feature_rows import (
    Names,
    added_names,
    assemble_listings,
    build_features,
)
from pipelines.parts import part_of


def run(step: Step) -> Outcome:
    """Build the features of all days of the step: of listings, then of the sample."""
    days = list(step.days)
    tables = step.tables
    made = assembler(step.config, read_strengths(tables, days))
    history = tables.day_reader("entity_history", days)
    snapshots = tables.slices("listings", days)
    samples = tables.slices("training_samples", days)

    def of_listings(number: int) -> Iterator[tuple[str, pa.Table]]:
        names = Names()
        listed = listings_with_history(history, snapshots[number])
        yield "listing_features", assemble_listings(listed, made, names)
        yield "feature_names", names.table()

    parts = tables.parts("listings", days)
    listing_files = unit_table_files(
        tables, len(snapshots), of_listings, days,
        {"listing_features": Parts.by_hash(parts, "listing_id"), "feature_names": _once(parts)},
    )  # fmt: skip
    tables.commit("listing_features", listing_files["listing_features"], days)
    listings = tables.day_reader("listing_features", days)

    def of_sample(number: int) -> Iterator[tuple[str, pa.Table]]:
        one = samples[number]
        sampled = one.read(arrow_schema("training_samples"))
        listed = listings.where(wanted(listing_id=sampled["listing_id"]))(one.ds)
        names = Names()
        contexts = contexts_with_history(history, one, sampled)
        yield "features", build_features(contexts, listed, made, names)
        yield "feature_names", names.table()

    parts = tables.parts("training_samples", days)
    files = unit_table_files(
        tables, len(samples), of_sample, days,
        {"features": Parts.in_order(parts, "order_key"), "feature_names": _once(parts)},
    )  # fmt: skip
    tables.commit("features", files["features"], days)
    # A namespace is of listings or of requests, so no name is in both.
    names = [listing_files["feature_names"], files["feature_names"]]
    tables.commit("feature_names", pa.concat_tables(names), days)
    return {day: DayRecord() for day in days}


def _once(parts: Mapping[date, int]) -> Parts:
    """Names by value, each once."""
    return Parts(parts, lambda rows, count: part_of(rows["value"], count), added_names)


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_features``."""
    return job_main("build_features", argv)


if __name__ == "__main__":
    leave(main())

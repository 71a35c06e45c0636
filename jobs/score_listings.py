"""Score every live promoted listing, cold ones included.

Grain: live promoted listing: in a campaign and not out of stock on the day's snapshot. Counts,
models, ensemble and map all include the day itself: the scores serve the day after, when the
listings will be a day older. They are staged here; publish_scores says whether consumers may read
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.inputs import (
    assembler,
    read_models,
    read_prior_precision,
    read_stack,
    registry,
    request_names,
    strengths_of,
    windows,
)
from jobs.planning.joint_inputs import (
    JointWeightReader,
    day_registry,
    held_days,
    read_namespaces,
)
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from jobs.storage.stored_parts import Parts
from jobs.storage.task_writes import write_parts
from pipelines.days import with_day
from pipelines.features.feature_rows import (
    LISTING_ENTITIES,
    listing_entity_ids,
    one_batch,
    with_history,
)
from pipelines.features.history import COUNT_COLUMNS, window_to
from pipelines.features.joint_days import value_names
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_snapshot import (
    SnapshotFacts,
    add_snapshots,
    count_snapshot,
    snapshot_columns,
)
from pipelines.features.prior_strengths import moments
from pipelines.scores.joint_scoring import score_joint_listings
from pipelines.scores.joint_terms import joint_terms
from pipelines.scores.live_listings import as_of, live_promoted
from pipelines.scores.reference import context_terms, reference_context
from pipelines.scores.scoring import score_listings
from pipelines.units_spark import collect_found

_LISTINGS_AT_A_TIME = 65_536
"""So many have their coordinates in memory: some 40 each."""


def run(step: Step) -> Outcome:
    """Score each day of the step."""
    return {day: _score(step, day) for day in step.days}


def _score(step: Step, day: date) -> DayRecord:
    served = day + timedelta(days=1)
    history_windows = windows(step.config)
    counted = step.tables.days("entity_counts")
    counts = step.tables.day_reader(
        "entity_counts", history_windows.before(served), COUNT_COLUMNS
    ).among("entity_type", LISTING_ENTITIES)
    namespaces = read_namespaces(step.tables, day)
    joint_registered = day_registry(step.config, namespaces)
    listed = step.tables.slices("listings", [day])
    strengths, facts = _read_day(step, day, counts, joint_registered, listed)

    made = assembler(step.config, strengths)
    joint = JointAssembler(joint_registered, facts.usual_lengths)
    models = read_models(step.tables, [day])[day]
    stack = read_stack(step.tables, day)
    names = request_names(step.tables, step.config, day)
    given = step.config.scoring.reference
    reference = reference_context(registry(step.config), names, given, day, models)
    joint_reference = reference_ids(joint_registered, names, given, served)
    shared = step.spark.sparkContext.broadcast(models)
    prior = read_prior_precision(step.tables, day)
    run_id = step.fingerprints.get(day, "")
    weights = JointWeightReader.of(step.tables, day)
    search_days, promoted_days = held_days(step.config, counted, day)

    def score(number: int) -> Iterator[pa.RecordBatch]:
        live = live_promoted(as_of(listed[number].read(arrow_schema("listings")), served))
        # In one order: the table is read by key.
        live = with_relative_price(live, facts.prices).sort_by("listing_id")
        own = counts.where(wanted(entity_id=listing_entity_ids(live)))
        sums = window_to(day, counted, own, history_windows, LISTING_ENTITIES)
        shown = with_shows_per_day(live, sums, search_days=search_days, promoted_days=promoted_days)
        own_weights = weights.of_listings(shown, joint)
        rows = with_history(live, sums, LISTING_ENTITIES)
        for start in range(0, len(live), _LISTINGS_AT_A_TIME):
            some = slice(start, start + _LISTINGS_AT_A_TIME)
            part = score_joint_listings(one_batch(shown[some]), joint, own_weights, joint_reference)
            for table in score_listings(
                rows[some], made, shared.value, stack, reference, prior, part
            ):
                scored = with_day(with_day(table.drop_columns(["ds"]), day), day, "model_as_of")
                named = scored.append_column("run_id", pa.repeat(pa.scalar(run_id), len(table)))
                yield from named.to_batches()

    by_listing = Parts.by_hash(step.tables.parts("listings", [day]), "listing_id")
    write_parts(step.tables, "listing_scores", len(listed), score, [day], by_listing)
    shared.destroy()
    terms = context_terms(registry(step.config), names, reference, models, stack.ensemble)
    if stack.correction is not None:
        terms += joint_terms(
            joint_registered, value_names(namespaces), given, joint_reference,
            weights.of_requests(joint_registered), terms, stack.correction,
        )  # fmt: skip
    step.tables.write_rows("context_terms", [row | {"ds": day} for row in terms], [day])
    details = {
        "reference": dict(reference.values),
        "reference_logit_historical": reference.historical,
        "reference_logit_content": reference.content,
        "cold_threshold": stack.cold_threshold,
    }
    return DayRecord(details=details)


def _read_day(
    step: Step, day: date, counts: DayReader, joint: JointRegistry, listed: Sequence[Slice]
) -> tuple[dict[tuple[int, str, str], float], SnapshotFacts]:
    """Prior strengths as of the end of the day, and what is known of all its listings."""
    history_windows = windows(step.config)
    counted = step.tables.days("entity_counts")
    parts = step.tables.parts("entity_counts", [day])[day]
    kinds = [(entity, part) for entity in LISTING_ENTITIES for part in range(parts)]
    columns = snapshot_columns(joint)

    def find(number: int) -> Any:
        if number >= len(kinds):
            one = listed[number - len(kinds)]
            return count_snapshot(joint, one.read(arrow_schema("listings"), columns))
        entity, part = kinds[number]
        own = counts.of_part("entity_id", part, parts)
        return moments(window_to(day, counted, own, history_windows, [entity])).get(entity, {})

    found = collect_found(step.spark, len(kinds) + len(listed), find)
    sums: dict[str, Counter[str]] = {entity: Counter() for entity in LISTING_ENTITIES}
    for (entity, _), own in zip(kinds, found, strict=False):
        sums[entity].update(own)
    served = day + timedelta(days=1)
    return strengths_of(step.config, served, sums), add_snapshots(joint, found[len(kinds) :])


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr score_listings``."""
    return job_main("score_listings", argv)


if __name__ == "__main__":
    leave(main())

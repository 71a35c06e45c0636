"""Score every live promoted listing, cold ones included.

Grain: live promoted listing: in a campaign and not out of stock on the day's snapshot. Counts,
models, ensemble and map all include the day itself: the scores serve the day after, when the
listings will be a day older. They are staged here; publish_scores says whether consumers may read
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

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
    day_registry,
    held_days,
    read_joint_weights,
    read_namespaces,
)
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.day_reader import wanted
from jobs.storage.task_writes import write_units
from pipelines.days import with_day
from pipelines.features.feature_rows import LISTING_ENTITIES, one_batch, with_history
from pipelines.features.history import COUNT_COLUMNS, Counts, window_to
from pipelines.features.joint_days import value_names
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.prior_strengths import moments
from pipelines.scores.joint_scoring import score_joint_listings
from pipelines.scores.joint_terms import joint_terms
from pipelines.scores.live_listings import as_of, live_promoted
from pipelines.scores.reference import context_terms, reference_context
from pipelines.scores.scoring import score_listings
from pipelines.units_spark import collect_units


def run(step: Step) -> Outcome:
    """Score each day of the step."""
    return {day: _score(step, day) for day in step.days}


def _score(step: Step, day: date) -> DayRecord:
    served = day + timedelta(days=1)
    history_windows = windows(step.config)
    window = history_windows.before(served)
    counted = step.tables.days("entity_counts")
    counts = step.tables.day_reader("entity_counts", window, COUNT_COLUMNS).where(
        wanted(entity_type=pa.array(list(LISTING_ENTITIES)))
    )
    made = assembler(step.config, _strengths(step, served, counted, counts))
    models = read_models(step.tables, [day])[day]
    stack = read_stack(step.tables, day)
    names = request_names(step.tables, step.config, day)
    reference = reference_context(
        registry(step.config), names, step.config.scoring.reference, day, models
    )
    shared = step.spark.sparkContext.broadcast(models)
    prior = read_prior_precision(step.tables, day)
    run_id = step.fingerprints.get(day, "")
    listings = step.tables.day_reader("listings", [day])

    namespaces = read_namespaces(step.tables, day)
    joint = JointAssembler(day_registry(step.config, namespaces))
    joint_weights = read_joint_weights(step.tables, day)
    joint_reference = reference_ids(joint.registry, names, step.config.scoring.reference, served)
    search_days, promoted_days = held_days(step.config, counted, day)

    def score(number: int) -> Iterator[pa.RecordBatch]:
        snapshot = with_relative_price(as_of(listings(day), served))
        sums = window_to(day, counted, counts, history_windows, LISTING_ENTITIES)
        # One file in one order: the table is small and read by key.
        live = live_promoted(snapshot).sort_by("listing_id")
        shown = with_shows_per_day(
            live,
            sums,
            search_days=search_days,
            promoted_days=promoted_days,
        )
        part = score_joint_listings(one_batch(shown), joint, joint_weights, joint_reference)
        rows = with_history(live, sums, LISTING_ENTITIES)
        for table in score_listings(rows, made, shared.value, stack, reference, prior, part):
            scored = with_day(with_day(table.drop_columns(["ds"]), day), day, "model_as_of")
            named = scored.append_column("run_id", pa.repeat(pa.scalar(run_id), len(table)))
            yield from named.to_batches()

    write_units(step.tables, "listing_scores", 1, score, [day])
    shared.destroy()
    terms = context_terms(registry(step.config), names, reference, models, stack.ensemble)
    if stack.correction is not None:
        terms += joint_terms(
            joint.registry, value_names(namespaces), step.config.scoring.reference,
            joint_reference, joint_weights,
            terms, stack.correction,
        )  # fmt: skip
    step.tables.write_rows("context_terms", [row | {"ds": day} for row in terms], [day])
    details = {
        "reference": dict(reference.values),
        "reference_logit_historical": reference.historical,
        "reference_logit_content": reference.content,
        "cold_threshold": stack.cold_threshold,
    }
    return DayRecord(details=details)


def _strengths(
    step: Step, served: date, counted: set[date], counts: Counts
) -> dict[tuple[int, str, str], float]:
    """Prior strengths of a day as of the end of the day before, each entity type in a task."""
    history_windows = windows(step.config)
    day = served - timedelta(days=1)
    entities = list(LISTING_ENTITIES)

    def count(number: int) -> Iterator[pa.RecordBatch]:
        entity = entities[number]
        entity_moments = moments(window_to(day, counted, counts, history_windows, [entity])).get(
            entity, {}
        )
        yield pa.RecordBatch.from_pydict(
            {"entity": [entity], "moments": [json.dumps(entity_moments)]}
        )

    rows = collect_units(step.spark, len(entities), count, "entity string, moments string")
    day_moments = {row["entity"]: json.loads(row["moments"]) for row in rows.to_pylist()}
    return strengths_of(step.config, served, day_moments)


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr score_listings``."""
    return job_main("score_listings", argv)


if __name__ == "__main__":
    leave(main())

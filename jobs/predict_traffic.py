"""Predict the day's promoted traffic with the models of the day before.

Grain: promoted impression, valid traffic only. Out of time by construction: history, weights and
text basis are all as of the end of the day before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.planning.inputs import (
    assembler,
    read_models,
    read_position_rates,
    read_strengths,
    registry,
    request_names,
)
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from jobs.storage.task_writes import write_units
from pipelines.features.feature_rows import (
    CONTEXT_ENTITIES,
    LISTING_ENTITIES,
    entity_ids,
    with_history,
)
from pipelines.features.history import HISTORY_ENTITIES, USER
from pipelines.models.listing_part import Models
from pipelines.models.prediction import predict_traffic, score_listing_days
from pipelines.samples.balanced import order_key
from pipelines.scores.reference import reference_context


def run(step: Step) -> Outcome:
    """Predict all days of the step, slice by slice."""
    days = list(step.days)
    before = {day: day - timedelta(days=1) for day in days}
    learnt = read_models(step.tables, list(before.values()))
    by_day = {
        day: _referenced(step, yesterday, learnt[yesterday]) for day, yesterday in before.items()
    }
    models = step.spark.sparkContext.broadcast(by_day)
    made = assembler(step.config, read_strengths(step.tables, days))
    rates = read_position_rates(step.tables, step.config, days)
    shown = step.tables.slices("labeled_impressions", days)
    schema = arrow_schema("labeled_impressions")
    history = step.tables.day_reader("entity_history", days)
    listings = step.tables.day_reader("listings", days)
    joint = step.tables.day_reader("joint_predictions", days)

    def predict(number: int) -> Iterator[pa.RecordBatch]:
        day = shown[number].ds
        rows = shown[number].read(schema)
        is_ours = pc.and_(rows["is_valid_traffic"], pc.equal(rows["surface"], "promoted"))
        rows = rows.filter(is_ours)
        if not len(rows):
            return
        day_models = models.value[day]
        snapshot = listings.where(wanted(listing_id=rows["listing_id"]))(day)
        known = slice_history(history, shown[number], entity_ids(rows, snapshot))
        learnt = joint.where(wanted(order_key=order_key(rows["impression_id"])))(day)
        traffic = with_history(rows, known, CONTEXT_ENTITIES)
        scores = score_listing_days(
            with_history(snapshot, known, LISTING_ENTITIES), made, day_models
        )
        for table in predict_traffic(traffic, scores, made, day_models, rates[day], learnt):
            yield from table.to_batches()

    write_units(step.tables, "predictions", len(shown), predict, days)
    models.destroy()
    return {day: DayRecord() for day in days}


def _referenced(step: Step, day: date, models: Models) -> Models:
    """The models of a day with the logits of the reference context that its scores have."""
    reference = reference_context(
        registry(step.config),
        request_names(step.tables, step.config, day),
        step.config.scoring.reference,
        day,
        models,
    )
    return replace(models, reference=reference.logits)


def slice_history(history: DayReader, one: Slice, ids: pa.ChunkedArray) -> pa.Table:
    """The history of entities of a slice of traffic; of users only of those of its part."""
    own = history.where(wanted(entity_id=ids))
    part, parts = one.part or (0, 1)
    of_users = own.among("entity_type", [USER]).of_part("entity_id", part, parts)
    others = own.among("entity_type", [kind for kind in HISTORY_ENTITIES if kind != USER])
    return pa.concat_tables([others(one.ds), of_users(one.ds)])


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr predict_traffic``."""
    return job_main("predict_traffic", argv)


if __name__ == "__main__":
    leave(main())

"""Predict the day's promoted traffic with the models of the day before.

Grain: promoted impression, valid traffic only. Out of time by construction: history, weights and
text basis are all as of the end of the day before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.planning.histories import contexts_with_history, listings_with_history
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
from jobs.storage.stored_parts import Parts
from jobs.storage.task_writes import write_parts, write_units
from pipelines.features.assemble import Assembler
from pipelines.models.listing_part import Models
from pipelines.models.prediction import predict_traffic, score_listing_days
from pipelines.samples.balanced import order_key
from pipelines.scores.reference import reference_context

if TYPE_CHECKING:
    from pyspark import Broadcast


def run(step: Step) -> Outcome:
    """Predict all days of the step: first what their listings bring, then slice by slice."""
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
    listings = _score_listings(step, made, models, history)
    joint = step.tables.day_reader("joint_predictions", days)

    def predict(number: int) -> Iterator[pa.RecordBatch]:
        day = shown[number].ds
        rows = shown[number].read(schema)
        is_ours = pc.and_(rows["is_valid_traffic"], pc.equal(rows["surface"], "promoted"))
        rows = rows.filter(is_ours)
        if not len(rows):
            return
        day_models = models.value[day]
        scores = listings.where(wanted(listing_id=rows["listing_id"]))(day)
        own = joint.in_files_of(*(shown[number].part or (0, 1)))
        learnt = own.where(wanted(order_key=order_key(rows["impression_id"])))(day)
        traffic = contexts_with_history(history, shown[number], rows)
        for table in predict_traffic(traffic, scores, made, day_models, rates[day], learnt):
            yield from table.to_batches()

    write_units(step.tables, "predictions", len(shown), predict, days)
    models.destroy()
    return {day: DayRecord() for day in days}


def _score_listings(
    step: Step, made: Assembler, models: Broadcast[dict[date, Models]], history: DayReader
) -> DayReader:
    """Score listing scope once a listing and day; what reads the scores."""
    days = list(step.days)
    listed = step.tables.slices("listings", days)

    def score(number: int) -> Iterator[pa.RecordBatch]:
        rows = listings_with_history(history, listed[number])
        yield from score_listing_days(rows, made, models.value[listed[number].ds]).to_batches()

    by_listing = Parts.by_hash(step.tables.parts("listings", days), "listing_id")
    write_parts(step.tables, "listing_logits", len(listed), score, days, by_listing)
    return step.tables.day_reader("listing_logits", days)


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


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr predict_traffic``."""
    return job_main("predict_traffic", argv)


if __name__ == "__main__":
    leave(main())

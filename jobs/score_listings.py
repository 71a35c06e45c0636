"""Score every live promoted listing, cold ones included.

Grain: live promoted listing: in a campaign and not out of stock on the day's snapshot. Counts,
models, ensemble and map all include the day itself: the scores serve the day after. They are
staged here; publish_scores says whether consumers may read them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.sql import functions as F

from jobs.runtime.inputs import (
    assembler,
    day_number,
    read_bases,
    read_stack,
    read_weights,
    registry,
    request_names,
)
from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.features.frames_spark import LISTING_ENTITIES, listing_frame
from pipelines.features.history_spark import moments, strengths, window_to
from pipelines.models.listing_part import Models
from pipelines.scores.reference import context_terms, reference_context
from pipelines.scores.scoring_spark import score_listings
from schemas.scores import LISTING_SCORES


def run(step: Step) -> Outcome:
    """Score each day of the step."""
    return {day: _score(step, day) for day in step.days}


def _score(step: Step, day: date) -> DayRecord:
    history = step.config.history
    window = [day - timedelta(days=back) for back in range(history.window_days)]
    sums = window_to(
        step.tables.read("entity_counts", window),
        day=str(day),
        search_days=history.search_days,
        promoted_days=history.promoted_days,
        entities=LISTING_ENTITIES,
    ).persist()
    try:
        made = assembler(step.config, _strengths(step, sums, day))
        weights = read_weights(step.tables, [day])
        models = Models(
            weights[day, "historical"], weights[day, "content"], read_bases(step.tables, [day])[day]
        )
        stack = read_stack(step.tables, day)
        names = request_names(step.tables, step.config, day)
        reference = reference_context(
            registry(step.config), names, step.config.scoring.reference, day, models
        )
        live = F.col("is_promoted") & (F.col("quantity").isNull() | (F.col("quantity") > 0))
        training = step.config.training.historical
        scores = score_listings(
            listing_frame(step.tables.read("listings", [day]).where(live), sums),
            made,
            step.spark.sparkContext.broadcast(models),
            stack,
            reference,
            step.config.calibration.fields,
            prior=training.beta / training.alpha + training.l2,
        )
        staged = scores.select(
            *(name for name in LISTING_SCORES.column_names if name in scores.columns),
            F.lit(day).alias("model_as_of"),
            F.lit(step.fingerprints.get(day, "")).alias("run_id"),
        )
        # One file in one order: the table is small and read by key.
        ordered = staged.coalesce(1).sortWithinPartitions("listing_id")
        step.tables.write("listing_scores", ordered, [day])
    finally:
        sums.unpersist()
    terms = context_terms(registry(step.config), names, reference, models, stack.ensemble)
    step.tables.write_rows("context_terms", [row | {"ds": day} for row in terms], [day])
    details = {
        "reference": dict(reference.values),
        "reference_logit_historical": reference.historical,
        "reference_logit_content": reference.content,
        "cold_threshold": stack.cold_threshold,
    }
    return DayRecord(details=details)


def _strengths(step: Step, sums: object, day: date) -> dict[tuple[int, str, str], float]:
    limits = step.config.history
    found = {}
    for row in moments(sums).collect():  # type: ignore[arg-type]
        values = strengths(
            row.asDict(), min_strength=limits.min_strength, max_strength=limits.max_strength
        )
        for surface, value in values.items():
            found[day_number(day), row["entity_type"], surface] = value.strength
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr score_listings``."""
    return job_main("score_listings", argv)


if __name__ == "__main__":
    sys.exit(main())

"""Judge the day by what would have been published for it.

Grain: promoted impression; and model, segment and metric, for what would have been published also
the values of the calibration fields as segments. The ensemble and the map are those of
the day before: nothing of the day enters the probabilities that it is judged by. All impressions
get their probabilities; a very large day is judged by a hash sample of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.planning.inputs import read_predictions, read_stack
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.task_writes import write_units
from pipelines.memory import give_back_memory
from pipelines.models.elementary import probabilities
from pipelines.models.field_metrics import evaluate_fields
from pipelines.models.fields import Coded
from pipelines.models.metrics import Judged, evaluate, reliability_table
from pipelines.models.segments import COLD, WARM
from pipelines.models.stack import Stack, fields_of, is_cold, number, stack_inputs, whole

BASELINE = "baseline"
PUBLISHED = "published"


def run(step: Step) -> Outcome:
    """Judge every day of the step; all are written at once."""
    stacks = {day: read_stack(step.tables, day - timedelta(days=1)) for day in step.days}
    fields = step.config.calibration.fields
    shown = step.tables.slices("predictions", step.days)
    schema = arrow_schema("predictions")

    def score(number: int) -> Iterator[pa.RecordBatch]:
        rows = shown[number].read(schema).sort_by("order_key").combine_chunks()
        yield from _scored(rows, stacks[shown[number].ds], fields)[0].to_batches()

    write_units(step.tables, "scored_traffic", len(shown), score, step.days)
    metrics: list[dict[str, object]] = []
    bins: list[dict[str, object]] = []
    outcome: Outcome = {}
    for day in step.days:
        judged, coded = _judged(step, day, stacks[day])
        # The rows that they were made of are gone, and judging takes as much again.
        give_back_memory()
        rows = evaluate(judged) + evaluate_fields(
            judged, PUBLISHED, coded, min_expected=step.config.evaluation.min_field_clicks
        )
        metrics += [asdict(row) | {"ds": day} for row in rows]
        bins += [asdict(row) | {"ds": day} for row in reliability_table(judged)]
        count = step.tables.row_counts("predictions", [day]).get(day, 0)
        details = {"clicks": int(judged.clicked.sum()), "judged": len(judged.clicked)}
        outcome[day] = DayRecord(rows_in=count, details=details)
    step.tables.write_rows("model_metrics", metrics, step.days)
    step.tables.write_rows("reliability", bins, step.days)
    return outcome


def _judged(step: Step, day: date, stack: Stack) -> tuple[Judged, dict[str, Coded]]:
    """What a day is judged by, and its calibration fields: of a hash sample of a large day."""
    rows = read_predictions(step.tables, [day], step.config.evaluation.max_rows)
    table, fields = _scored(rows, stack, step.config.calibration.fields)
    # Cold and warm are judged by every metric already.
    fields.pop("segment", None)
    judged = Judged(
        clicked=np.asarray(table["clicked"].to_numpy(zero_copy_only=False), dtype=bool),
        user=whole(table, "user_key"),
        is_cold=is_cold(rows, stack.cold_threshold),
        probabilities={
            BASELINE: number(table, "p_baseline"),
            "historical": number(table, "p_historical"),
            "content": number(table, "p_content"),
            "ensemble": number(table, "p_ensemble"),
            "joint": number(table, "p_joint"),
            PUBLISHED: number(table, "p_click"),
        },
        baseline=BASELINE,
    )
    return judged, fields


def _scored(
    rows: pa.Table, stack: Stack, field_names: Sequence[str]
) -> tuple[pa.Table, dict[str, Coded]]:
    """Each impression's probabilities as published for the day, and its calibration fields."""
    cold = is_cold(rows, stack.cold_threshold)
    inputs = stack_inputs(rows, stack.cold_threshold)
    fields = fields_of(rows, field_names, cold)
    factored = fields_of(rows, list(stack.factors.factors), cold)
    historical = inputs.pair.historical_listing + number(rows, "historical_context")
    content = inputs.pair.content_listing + number(rows, "content_context")
    scored = pa.table(
        {
            "impression_id": rows["impression_id"],
            "user_key": rows["user_key"],
            "clicked": rows["clicked"],
            "segment": pc.if_else(pa.array(cold), COLD, WARM),
            "p_baseline": rows["p_baseline"],
            "p_historical": probabilities(historical),
            "p_content": probabilities(content),
            "p_ensemble": probabilities(stack.ensemble.logit(inputs.pair)),
            "p_joint": probabilities(inputs.joint),
            "p_click": stack.publish(stack.logit(inputs), factored),
            "ds": rows["ds"],
        }
    )
    return scored, fields


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr evaluate_models``."""
    return job_main("evaluate_models", argv)


if __name__ == "__main__":
    leave(main())

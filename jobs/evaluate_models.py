"""Judge the day by what would have been published for it.

Grain: promoted impression; and model, segment and metric, for what would have been published also
the values of the calibration fields as segments. The ensemble and the map are those of
the day before: nothing of the day enters the probabilities that it is judged by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.inputs import read_stack
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from pipelines.models.elementary import probabilities
from pipelines.models.field_metrics import evaluate_fields
from pipelines.models.fields import Coded
from pipelines.models.metrics import Judged, evaluate, reliability_table
from pipelines.models.segments import COLD, WARM
from pipelines.models.stack import fields_of, is_cold, number, stack_inputs, whole

BASELINE = "baseline"
PUBLISHED = "published"


def run(step: Step) -> Outcome:
    """Judge every day of the step; all are written at once."""
    scored: list[pa.Table] = []
    metrics: list[dict[str, object]] = []
    bins: list[dict[str, object]] = []
    outcome: Outcome = {}
    for day in step.days:
        table, fields = _score(step, day)
        # Cold and warm are judged by every metric already.
        fields.pop("segment", None)
        scored.append(table)
        judged = Judged(
            clicked=np.asarray(table["clicked"].to_numpy(zero_copy_only=False), dtype=bool),
            user=whole(table, "user_key"),
            is_cold=np.asarray(table["segment"].to_pylist()) == COLD,
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
        rows = evaluate(judged) + evaluate_fields(
            judged, PUBLISHED, fields, min_expected=step.config.evaluation.min_field_clicks
        )
        metrics += [asdict(row) | {"ds": day} for row in rows]
        bins += [asdict(row) | {"ds": day} for row in reliability_table(judged)]
        outcome[day] = DayRecord(rows_in=len(table), details={"clicks": int(judged.clicked.sum())})
    step.tables.write_arrow("scored_traffic", pa.concat_tables(scored), step.days)
    step.tables.write_rows("model_metrics", metrics, step.days)
    step.tables.write_rows("reliability", bins, step.days)
    return outcome


def _score(step: Step, day: date) -> tuple[pa.Table, dict[str, Coded]]:
    """Every impression's probabilities as published for the day, and its calibration fields."""
    rows = step.tables.read_arrow("predictions", [day]).sort_by("order_key").combine_chunks()
    stack = read_stack(step.tables, day - timedelta(days=1))
    cold = is_cold(rows, stack.cold_threshold)
    inputs = stack_inputs(rows, stack.cold_threshold)
    fields = fields_of(rows, step.config.calibration.fields, cold)
    historical = inputs.pair.historical_listing + number(rows, "historical_context")
    content = inputs.pair.content_listing + number(rows, "content_context")
    scored = pa.table(
        {
            "impression_id": rows["impression_id"],
            "user_key": rows["user_key"],
            "clicked": rows["clicked"],
            "segment": pa.array(np.where(cold, COLD, WARM).tolist(), pa.string()),
            "p_baseline": rows["p_baseline"],
            "p_historical": probabilities(historical),
            "p_content": probabilities(content),
            "p_ensemble": probabilities(stack.ensemble.logit(inputs.pair)),
            "p_joint": probabilities(inputs.joint),
            "p_click": stack.publish(stack.logit(inputs), fields),
            "ds": rows["ds"],
        }
    )
    return scored, fields


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr evaluate_models``."""
    return job_main("evaluate_models", argv)


if __name__ == "__main__":
    leave(main())

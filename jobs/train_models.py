"""Learn the historical and the content model by FTRL-Proximal, in day order.

Grain: model and coordinate; a day's models have learnt the window that ends with it. A range of
days is one reading of the features per model, in which every end day has its own learner.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import QualityStop, leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_files import WRITTEN, WRITTEN_DDL, DataFile, read_batches
from jobs.storage.day_reader import DayReader
from pipelines.days import day_number, numbered_day
from pipelines.features.hashing import HASH_SEED
from pipelines.features.keys import id_keys
from pipelines.features.registry import MODELS
from pipelines.models.ftrl_parameters import FtrlParameters
from pipelines.models.train_model import Summary, train_model
from pipelines.models.training import DenseInputs
from pipelines.units_spark import collect_units


def run(step: Step) -> Outcome:
    """Train all end days of the step, some at a time."""
    size = step.config.training.learners_per_pass
    outcome: Outcome = {}
    for start in range(0, len(step.days), size):
        outcome |= _train(step, step.days[start : start + size])
    return outcome


def parameters(step: Step, model: str) -> FtrlParameters:
    """Hyper-parameters of a model."""
    of_model: FtrlParameters = getattr(step.config.training, model)
    return of_model


def _train(step: Step, end_days: Sequence[date]) -> Outcome:
    training = step.config.training
    first = end_days[0] - timedelta(days=training.window_days - 1)
    window = [first + timedelta(days=k) for k in range((end_days[-1] - first).days + 1)]
    files = step.tables.files("features", window)
    schema = arrow_schema("features")
    writer = step.tables.file_writer("model_weights")
    hyperparameters = {model: parameters(step, model) for model in MODELS}
    vectors = step.tables.day_reader("listing_vectors", end_days)

    def learn(number: int) -> Iterator[pa.RecordBatch]:
        model = MODELS[number]
        learnt = train_model(
            _in_order(files, schema, model),
            model,
            [day_number(day) for day in end_days],
            hyperparameters[model],
            search_days=training.search_days,
            promoted_days=training.promoted_days,
            level=training.level,
            dense=_dense(vectors, end_days) if model == "content" else None,
        )
        summaries: list[str] = []

        def weights() -> Iterator[pa.RecordBatch]:
            for batch, day, summary in learnt:
                summaries.append(json.dumps({"model": model, "day": day, **summary}))
                yield batch

        for written in writer(weights()):
            yield written.append_column("summary", pa.nulls(written.num_rows, pa.string()))
        none = pa.Table.from_pylist([{}] * len(summaries), schema=WRITTEN)
        yield from none.append_column("summary", pa.array(summaries, pa.string())).to_batches()

    # Both models side by side, each in one task: learning is in order.
    made = collect_units(step.spark, len(MODELS), learn, f"{WRITTEN_DDL}, summary string")
    is_file = pc.is_valid(made["path"])
    summaries = [json.loads(text) for text in made["summary"].drop_null().to_pylist()]
    runs = [
        _training_run(step, summary["model"], numbered_day(summary["day"]), summary)
        for summary in sorted(summaries, key=lambda s: (s["day"], s["model"]))
    ]
    _check(step, runs)
    step.tables.commit("model_weights", made.filter(is_file).drop_columns(["summary"]), end_days)
    step.tables.write_rows("training_runs", runs, end_days)
    return {day: DayRecord(details=_details(step, runs, day)) for day in end_days}


def _in_order(files: Sequence[DataFile], schema: pa.Schema, model: str) -> Iterator[pa.RecordBatch]:
    """A model's features in training order: each day is one ordered file."""
    columns = ["ds", "order_key", "clicked", "surface", "sampling_rate", "listing_key"]
    for file in files:
        for batch in read_batches(file, schema, [*columns, f"{model}_slots"]):
            yield batch.rename_columns([*columns, "slots"])


def _dense(vectors: DayReader, end_days: Sequence[date]) -> Mapping[int, DenseInputs]:
    """Dense inputs of the listings of each end day, in the basis of that day."""
    inputs = {}
    for day in end_days:
        listings = vectors(day).combine_chunks()
        keys = id_keys(listings["listing_id"])
        order = np.argsort(keys, kind="stable")
        flat = pc.list_flatten(listings["vector"]).to_numpy().astype(np.float32)
        width = len(flat) // len(listings) if len(listings) else 0
        ordered = np.ascontiguousarray(flat.reshape(len(listings), width)[order])
        inputs[day_number(day)] = DenseInputs(keys[order], ordered)
    return inputs


def _training_run(step: Step, model: str, ds: date, summary: Summary) -> dict[str, object]:
    hyperparameters = parameters(step, model)
    rows = int(summary["rows"])
    return {
        "model": model,
        "parameters": json.dumps(asdict(hyperparameters), sort_keys=True),
        "hash_seed": HASH_SEED,
        "bits": hyperparameters.bits,
        "dense": int(summary["dense"]),
        "rows": rows,
        "clicks": int(summary["clicks"]),
        "first_day": numbered_day(int(summary["first_day"])),
        "days": int(summary["days"]),
        "progressive_log_loss": summary["log_loss"] / rows if rows else 0.0,
        "slots": int(summary["slots"]),
        "level_shift": float(summary["level_shift"]),
        "ds": ds,
    }


def _check(step: Step, runs: Sequence[dict[str, object]]) -> None:
    for run in runs:
        if not run["rows"] or not run["clicks"] or run["clicks"] == run["rows"]:
            raise QualityStop(
                f"train_models: {run['model']} for {run['ds']} has {run['rows']} rows and "
                f"{run['clicks']} clicks; it needs clicks and non-clicks to learn from"
            )


def _details(step: Step, runs: Sequence[dict[str, object]], day: date) -> dict[str, object]:
    day_runs = [run for run in runs if run["ds"] == day]
    details: dict[str, object] = {
        str(run["model"]): {
            key: run[key]
            for key in (
                "rows",
                "clicks",
                "days",
                "slots",
                "progressive_log_loss",
                "level_shift",
            )
        }
        for run in day_runs
    }
    wanted = step.config.training.promoted_days
    days_learnt = min(int(str(run["days"])) for run in day_runs)
    if days_learnt < wanted:
        details["degraded"] = [
            f"models learnt {days_learnt} of {wanted} days: there are no more logs"
        ]
    return details


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr train_models``."""
    return job_main("train_models", argv)


if __name__ == "__main__":
    leave(main())

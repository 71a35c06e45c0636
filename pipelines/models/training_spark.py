"""Training on Spark: one ordered task per model, all end days in one reading (Spark side)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.models.ftrl_state import FtrlParameters
from pipelines.models.level import bias_slot, level_shift
from pipelines.models.training import DenseInputs, new_learners, train

SCHEMA = "model string, ds date, slot int, weight double, z double, n double, summary string"


def train_model(
    features: DataFrame,
    model: str,
    end_days: Sequence[int],
    parameters: FtrlParameters,
    *,
    search_days: int,
    promoted_days: int,
    level_days: int,
    dense: Broadcast[Mapping[int, DenseInputs]] | None,
) -> DataFrame:
    """Learn one model for several end days, in one task.

    Parameters
    ----------
    features : DataFrame
        Columns of `features`.
    end_days : sequence of int
        Days since 1970.
    level_days : int
        Newest days that the intercept is solved on when learning is done; z and n stay as learnt.

    Returns
    -------
    DataFrame
        Columns of `model_weights`, and one more row per end day with no slot and a JSON `summary`.
    """

    def learn(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        learners = new_learners(
            end_days,
            parameters,
            search_days=search_days,
            promoted_days=promoted_days,
            dense=dense.value if dense is not None else None,
        )
        newest = train(batches, learners, keep_days=level_days)
        for learner in learners:
            found = learner.state.touched()
            size = len(found.slot)
            shift = level_shift(learner, newest, level_days)
            found.weight[found.slot == bias_slot(parameters.bits)] += shift
            yield _rows(model, learner.end_day, size, [
                pa.array(found.slot), pa.array(found.weight), pa.array(found.z), pa.array(found.n),
                pa.nulls(size, pa.string()),
            ])  # fmt: skip
            days = sorted(learner.days)
            summary = {
                "dense": len(learner.state.dense_weights()),
                "rows": learner.state.rows,
                "clicks": learner.state.clicks,
                "first_day": days[0] if days else learner.end_day,
                "days": len(days),
                "log_loss": learner.log_loss,
                "slots": size,
                "level_shift": shift,
            }
            nothing = [pa.nulls(1, kind) for kind in (pa.int32(), *[pa.float64()] * 3)]
            yield _rows(model, learner.end_day, 1, [*nothing, pa.array([json.dumps(summary)])])

    columns = ["ds", "order_key", "clicked", "surface", "sampling_rate", "listing_key"]
    return (
        features.select(*columns, F.col(f"{model}_slots").alias("slots"))
        .coalesce(1)
        .sortWithinPartitions("ds", "order_key")
        .mapInArrow(learn, SCHEMA)
    )


def _rows(model: str, day: int, size: int, columns: list[pa.Array]) -> pa.RecordBatch:
    names = ["model", "ds", "slot", "weight", "z", "n", "summary"]
    ds = pa.array([day], pa.int32()).cast(pa.date32())[0]
    head = [pa.repeat(pa.scalar(model), size), pa.repeat(ds, size)]
    return pa.RecordBatch.from_arrays([*head, *columns], names=names)

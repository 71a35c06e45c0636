"""The stages between labels and features in one call, for tests that look at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from jobs.runtime.config import Config
from jobs.runtime.inputs import registry
from pipelines.features.assemble import Assembler
from pipelines.features.history_spark import history_before, moments, strengths
from pipelines.samples.balanced_spark import sample_training
from tests.support.counting import count_days
from tests.support.rows import DAY, DAY_NUMBER, Row, arrow_rows


@dataclass(frozen=True)
class Stages:
    """Frames of DAY, in memory, and the assembler that its history gives."""

    labeled: DataFrame
    listings: DataFrame
    history: DataFrame
    samples: DataFrame
    assembler: Assembler
    history_rows: list[dict[str, object]]


def make_stages(
    spark: SparkSession, config: Config, labeled: Sequence[Row], listings: Sequence[Row]
) -> Stages:
    """Run counts, history, priors and a sample of everything."""
    counts = spark.createDataFrame(count_days(labeled, listings, strength=2.0))
    history = history_before(
        counts, first=str(DAY), last=str(DAY), search_days=14, promoted_days=30
    ).toArrow()
    kept = spark.createDataFrame(history)
    limits = {"min_strength": 0.5, "max_strength": 200.0}
    priors = {
        (DAY_NUMBER, row["entity_type"], surface): value.strength
        for row in moments(kept).collect()
        for surface, value in strengths(row.asDict(), **limits).items()
    }
    today = spark.createDataFrame(
        arrow_rows("labeled_impressions", [r for r in labeled if r["ds"] == DAY])
    )
    surfaces = ("search", "promoted")
    rates = pa.table({"ds": [DAY] * 2, "surface": list(surfaces), "non_click_rate": [1.0] * 2})
    return Stages(
        labeled=today,
        listings=spark.createDataFrame(
            arrow_rows("listings", [r for r in listings if r["ds"] == DAY])
        ),
        history=kept,
        samples=sample_training(today, spark.createDataFrame(rates), salt="s"),
        assembler=Assembler(registry(config), priors),
        history_rows=sorted(history.to_pylist(), key=lambda r: (r["entity_type"], r["entity_id"])),
    )

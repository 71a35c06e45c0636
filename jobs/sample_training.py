"""Draw the balanced training sample: all clicks, non-clicks by a stable hash.

Grain: impression. The rate at which the day's non-clicks were kept travels with each row.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.samples.balanced_spark import non_click_rate, sample_training


def run(step: Step) -> Outcome:
    """Sample all days of the step in one go."""
    days = list(step.days)
    counts = step.tables.read_arrow("entity_counts", days)
    totals = (
        counts.filter(pc.equal(counts["entity_type"], "position"))
        .group_by(["ds", "surface"])
        .aggregate([("impressions", "sum"), ("clicks", "sum")])
    )
    rates = [
        {
            "ds": row["ds"],
            "surface": row["surface"],
            "impressions": row["impressions_sum"],
            "clicks": row["clicks_sum"],
            "non_click_rate": non_click_rate(
                row["impressions_sum"], row["clicks_sum"], ratio=step.config.sampling.ratio
            ),
        }
        for row in totals.sort_by([("ds", "ascending"), ("surface", "ascending")]).to_pylist()
    ]
    step.tables.write_rows("sampling_rates", rates, days)
    small = pa.table(
        {name: [rate[name] for rate in rates] for name in ("ds", "surface", "non_click_rate")}
    )
    sample = sample_training(
        step.tables.read("labeled_impressions", days),
        step.spark.createDataFrame(small),
        salt=step.config.sampling.salt,
    )
    step.tables.write("training_samples", sample, days)
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr sample_training``."""
    return job_main("sample_training", argv)


if __name__ == "__main__":
    sys.exit(main())

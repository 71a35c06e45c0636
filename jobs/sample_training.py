"""Draw the balanced training sample: all clicks, non-clicks by a stable hash.

Grain: impression. The rate at which the day's non-clicks were kept travels with each row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_file_writer import PART
from jobs.storage.task_writes import write_units
from pipelines.samples.balanced import non_click_rate, sample_training


def run(step: Step) -> Outcome:
    """Sample all days of the step, slice by slice."""
    days = list(step.days)
    # Every impression has a position, so positions add up to all.
    counts = step.tables.read_arrow(
        "entity_counts",
        days,
        columns=["ds", "surface", "impressions", "clicks"],
        condition=pc.field("entity_type") == "position",
    )
    totals = counts.group_by(["ds", "surface"]).aggregate(
        [("impressions", "sum"), ("clicks", "sum")]
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
    by_day: dict[date, dict[str, float]] = {day: {} for day in days}
    for row in rates:
        by_day[row["ds"]][row["surface"]] = row["non_click_rate"]
    # Samples stay in the parts of their users, whose history they are to be given.
    parts = step.tables.stored_parts("labeled_impressions", days)
    slices = step.tables.slices("labeled_impressions", days)
    shown = [one for several in slices for one in several.by_part()]
    schema = arrow_schema("labeled_impressions")
    salt = step.config.sampling.salt

    def sample(number: int) -> Iterator[pa.RecordBatch]:
        one = shown[number]
        sampled = sample_training(one.read(schema), by_day[one.ds], salt=salt)
        if one.part:
            sampled = sampled.append_column(PART, pa.repeat(pa.scalar(one.part[0]), len(sampled)))
        yield from sampled.to_batches()

    write_units(step.tables, "training_samples", len(shown), sample, days, parts)
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr sample_training``."""
    return job_main("sample_training", argv)


if __name__ == "__main__":
    leave(main())

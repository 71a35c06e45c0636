"""Sum the counts over the windows that end the day before.

Grain: day and entity seen that day. Nothing of a day enters its own history. Also estimates how
strongly each kind of entity is to be pulled to its parent's rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby

import numpy as np
import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.inputs import windows
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_file_writer import PART
from jobs.storage.day_files import read_file
from jobs.storage.task_writes import write_units
from pipelines.features.history import COUNT_COLUMNS, SUMS, SURFACES, history_before
from pipelines.features.prior_strengths import moments, strengths
from pipelines.units_spark import collect_found


def run(step: Step) -> Outcome:
    """Build the history of all days of the step: ranges of days, and parts, side by side."""
    days = list(step.days)
    history_windows = windows(step.config)
    counted = step.available("count_entities")
    counted_before = {
        day: [past for past in history_windows.before(day) if past in counted] for day in days
    }
    needed = sorted({*days, *(past for before in counted_before.values() for past in before)})
    read = step.tables.day_reader("entity_counts", needed, COUNT_COLUMNS)
    parts = step.tables.parts("entity_counts", days)
    units = list(_units(days, parts, step.spark.sparkContext.defaultParallelism))

    def make(number: int) -> Iterator[pa.RecordBatch]:
        of_days, part, count = units[number]
        counts = read.of_part("entity_id", part, count)
        for table in history_before(of_days, needed, counts, history_windows):
            own = table.append_column(PART, pa.repeat(pa.scalar(part), len(table)))
            yield from own.to_batches()

    write_units(step.tables, "entity_history", len(units), make, days, parts)
    _write_priors(step, {day: len(before) for day, before in counted_before.items()})
    return {
        day: DayRecord(
            details={
                f"{surface}_days": sum(
                    (day - past).days <= history_windows.of(surface) for past in counted_before[day]
                )
                for surface in SURFACES
            }
        )
        for day in days
    }


def _units(
    days: Sequence[date], parts: Mapping[date, int], side_by_side: int
) -> Iterator[tuple[list[date], int, int]]:
    """Days that a task makes with one reading of the counts, a part, and how many there are."""
    for count, same in groupby(days, key=lambda day: parts[day]):
        of_days = list(same)
        ranges = min(len(of_days), side_by_side)
        for some in np.array_split(np.array(of_days, dtype=object), ranges):
            for part in range(count):
                yield some.tolist(), part, count


def _write_priors(step: Step, window_days: dict[date, int]) -> None:
    """Estimate strengths from the moments of the files just written."""
    files = step.tables.files("entity_history", list(step.days))
    schema = arrow_schema("entity_history")

    def count(number: int) -> dict[str, dict[str, int]]:
        return moments(read_file(files[number], schema, ["entity_type", *SUMS]))

    sums: dict[tuple[date, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for file, found in zip(files, collect_found(step.spark, len(files), count), strict=True):
        for entity, file_moments in found.items():
            for name, value in file_moments.items():
                sums[file.ds, entity][name] += value
    limits = step.config.history
    rows: list[dict[str, object]] = [
        {
            "entity_type": entity,
            "surface": surface,
            "strength": value.strength,
            "entities": value.entities,
            "window_days": window_days[day],
            "ds": day,
        }
        for (day, entity), day_moments in sorted(sums.items())
        for surface, value in strengths(
            day_moments, min_strength=limits.min_strength, max_strength=limits.max_strength
        ).items()
    ]
    step.tables.write_rows("entity_priors", rows, step.days)


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_history``."""
    return job_main("build_history", argv)


if __name__ == "__main__":
    leave(main())

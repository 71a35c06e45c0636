"""Count impressions, clicks and position-expected clicks per entity and surface.

Grain: day, entity and surface. Integers only, so that sums are the same in any order.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.logs.counts_spark import count_entities


def run(step: Step) -> Outcome:
    """Count all days of the step in one go."""
    days = list(step.days)
    counts = count_entities(
        step.tables.read("labeled_impressions", days),
        step.tables.read("listings", days),
        position_strength=step.config.history.position_strength,
    )
    step.tables.write("entity_counts", counts.coalesce(2), days)
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr count_entities``."""
    return job_main("count_entities", argv)


if __name__ == "__main__":
    sys.exit(main())

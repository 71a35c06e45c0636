"""Sum the counts over the windows that end the day before.

Grain: day and entity seen that day. Nothing of a day enters its own history. Also estimates how
strongly each kind of entity is to be pulled to its parent's rate.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta

from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.features.history_spark import history_before, moments, strengths


def run(step: Step) -> Outcome:
    """Build the history of all days of the step in one go."""
    history = step.config.history
    days = list(step.days)
    counted = step.available("count_entities")
    window = {
        day: [
            at
            for back in range(history.window_days, 0, -1)
            if (at := day - timedelta(days=back)) in counted
        ]
        for day in days
    }
    needed = sorted({*days, *(at for held in window.values() for at in held)})
    frame = history_before(
        step.tables.read("entity_counts", needed),
        first=str(days[0]),
        last=str(days[-1]),
        search_days=history.search_days,
        promoted_days=history.promoted_days,
    )
    step.tables.write("entity_history", frame.coalesce(2), days)
    stored = step.tables.read("entity_history", days)
    rows: list[dict[str, object]] = []
    for row in moments(stored).collect():
        found = strengths(
            row.asDict(), min_strength=history.min_strength, max_strength=history.max_strength
        )
        rows += [
            {
                "entity_type": row["entity_type"],
                "surface": surface,
                "strength": value.strength,
                "entities": value.entities,
                "window_days": len(window[row["ds"]]),
                "ds": row["ds"],
            }
            for surface, value in found.items()
        ]
    step.tables.write_rows("entity_priors", rows, days)
    return {
        day: DayRecord(
            details={
                "search_days": sum((day - at).days <= history.search_days for at in window[day]),
                "promoted_days": sum(
                    (day - at).days <= history.promoted_days for at in window[day]
                ),
            }
        )
        for day in days
    }


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_history``."""
    return job_main("build_history", argv)


if __name__ == "__main__":
    sys.exit(main())

"""Pass the gates, or leave the last good scores in place.

Grain: day. Writes no table: a day is published when its record in `runs` says so; consumers read
the scores of the newest published day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import QualityStop, leave
from jobs.step import DayRecord, Outcome, Step
from pipelines.quality.gates import failures, gates
from pipelines.scores.live_listings import live_promoted


def run(step: Step) -> Outcome:
    """Judge every day of the step; a day that is refused holds no other day back.

    Raises
    ------
    QualityStop
        A gate fails; the message names it, and the days that passed are published all the same.
    """
    published: Outcome = {}
    refused: dict[date, dict[str, object]] = {}
    reasons: list[str] = []
    for day in step.days:
        metrics = step.tables.read_arrow("model_metrics", [day]).to_pylist()
        results = gates(metrics, _coverage(step, day), step.config.publish)
        details: dict[str, object] = {"gates": [vars(result) for result in results]}
        stopped = failures(results)
        if stopped:
            why = "; ".join(f"{result.name}: {result.details}" for result in stopped)
            reasons.append(f"scores of {day} are not published: {why}")
            refused[day] = details
            continue
        scores = step.tables.row_counts("listing_scores", [day]).get(day, 0)
        published[day] = DayRecord(rows_out=scores, published=True, details=details)
    if refused:
        raise QualityStop("; ".join(reasons), refused, published)
    return published


def _coverage(step: Step, day: date) -> float | None:
    """Share of the live promoted listings that have a score."""
    columns = ["listing_id", "is_promoted", "quantity"]
    listings = step.tables.read_arrow("listings", [day], columns=columns)
    live = live_promoted(listings)["listing_id"]
    if len(live) == 0:
        return None
    scored = step.tables.read_arrow("listing_scores", [day], columns=["listing_id"])["listing_id"]
    return float(pc.sum(pc.is_in(live, scored.combine_chunks())).as_py()) / len(live)


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr publish_scores``."""
    return job_main("publish_scores", argv)


if __name__ == "__main__":
    leave(main())

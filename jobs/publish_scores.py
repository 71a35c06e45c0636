"""Pass the gates, or leave the last good scores in place.

Grain: day. Writes no table of its own: a day is published when its record in `runs` says so, and
`current_scores` holds the newest of them. What each gate says joins `quality_results`. A day on
which somebody has decided is judged, and what consumers read of it stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.planning.checks import record, with_next_step
from jobs.planning.publications import as_held, held
from jobs.planning.record import now
from jobs.setup.exits import QualityStop, leave
from jobs.step import DayRecord, Outcome, Step
from pipelines.quality.gates import GATE_MARK, GateResult, failures, gates, in_words
from pipelines.quality.results import QualityResult
from pipelines.scores.live_listings import live_promoted


def run(step: Step) -> Outcome:
    """Judge every day of the step; a day that is refused holds no other day back.

    Raises
    ------
    QualityStop
        A gate fails; the message names it, and the days that passed are published all the same.
    """
    published: Outcome = {}
    reasons: list[str] = []
    results: list[QualityResult] = []
    at = now()
    for day in step.days:
        metrics = step.tables.read_arrow("model_metrics", [day]).to_pylist()
        judged = gates(metrics, _coverage(step, day), step.config.publish)
        results += [_result(gate, day, step.run_id, at) for gate in judged]
        scores = step.tables.row_counts("listing_scores", [day]).get(day, 0)
        if decision := held(step.records, day):
            published[day] = as_held(decision, scores)
            continue
        if stopped := failures(judged):
            said = f"scores of {day} are not published: {in_words(stopped)}"
            # That nothing has judged the models says itself what to do.
            causes = (gate.cause for gate in stopped if gate.name != "evaluation")
            reasons.append(with_next_step(said, causes))
            continue
        published[day] = DayRecord(rows_out=scores, published=True)
    record(step.tables, results)
    if reasons:
        others = f"{len(published)} of {len(step.days)} days are published; " if published else ""
        raise QualityStop(others + "; ".join(reasons), passed=published)
    return published


def _result(gate: GateResult, day: date, run_id: str, at: datetime) -> QualityResult:
    return QualityResult(
        run_id=run_id,
        table="listing_scores",
        check=GATE_MARK + gate.name,
        slice=gate.slice,
        severity="block",
        status=gate.status,
        observed=gate.observed,
        expected=gate.expected,
        baseline=None,
        rows=gate.rows,
        details=gate.details,
        checked_at=at,
        ds=day,
        cause=gate.cause,
    )


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

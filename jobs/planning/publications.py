"""What a person decides on publications: that a day's scores are read, as of when, or not at all.

A decision is a row of `runs` like that of any run that publishes, and the newest row of a day
counts. One that holds is obeyed by later runs until another decision: they make and judge the day,
and leave what consumers read as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow.compute as pc

from jobs.planning.record import REFUSED, Attempt, Record, Records, now
from jobs.step import DayRecord
from jobs.storage import published
from jobs.storage.published import SCORES
from jobs.storage.reading import DONE, OF_PUBLICATIONS, PUBLISH_JOB, read_runs
from jobs.storage.tables import Tables

DECISION = "decision"
"""Detail of a record of publishing: as of `Decision`."""


@dataclass(frozen=True)
class Decision:
    """What was decided on a day.

    Attributes
    ----------
    published : bool
        Whether consumers read the day's scores.
    version : int
        Version of `listing_scores` at which they do, or did.
    holds : bool
        Whether later runs leave it so.
    """

    published: bool
    version: int
    holds: bool
    who: str
    reason: str

    def __str__(self) -> str:
        done = f"published at version {self.version}" if self.published else "unpublished"
        return f"{done} by {self.who or 'somebody'}: {self.reason}"


def decision_of(details: Mapping[str, Any]) -> Decision | None:
    """The decision that a record of publishing is of; None where a run has decided."""
    told = details.get(DECISION)
    return Decision(**told) if told else None


def held(records: Mapping[tuple[str, date], Record], day: date) -> Decision | None:
    """The decision that a run has to leave a day at."""
    record = records.get((PUBLISH_JOB, day))
    decision = decision_of(record.details) if record is not None else None
    return decision if decision is not None and decision.holds else None


def as_held(decision: Decision, rows: int) -> DayRecord:
    """What a run records of a day that is held."""
    return DayRecord(
        rows_out=rows,
        published=decision.published,
        versions_in={SCORES: decision.version},
        details={
            DECISION: asdict(decision),
            "degraded": [f"what consumers read was decided on and stays: {decision}"],
        },
    )


def decide(
    tables: Tables, records: Records, run_id: str, day: date, decision: Decision, rows: int
) -> None:
    """Record a decision, and have `current_scores` follow it."""
    before = records.newest.get((PUBLISH_JOB, day))
    details = {**(before.details if before is not None else {}), DECISION: asdict(decision)}
    details.pop("degraded", None)
    # What was judged last is judged: only other scores are to be judged again.
    judged = [
        row["fingerprint"]
        for row in read_runs(tables, OF_PUBLICATIONS & (pc.field("ds") == day))
        if row["status"] in (DONE, REFUSED)
    ]
    attempt = Attempt(run_id, PUBLISH_JOB, now(), "", {SCORES: decision.version}, {})
    made = DayRecord(rows_out=rows, published=decision.published, details=details)
    records.add(attempt.rows({day: made}, {day: judged[-1] if judged else ""}))
    follow(tables, records.newest)


def follow(tables: Tables, records: Mapping[tuple[str, date], Record]) -> None:
    """Have `current_scores` hold the newest published day."""
    days = [day for (job, day), record in records.items() if job == PUBLISH_JOB if record.published]
    newest = max(days, default=None)
    version = records[PUBLISH_JOB, newest].versions_in.get(SCORES) if newest is not None else None
    published.follow(tables, newest, version)


def publish_targets(days: Sequence[date]) -> list[tuple[str, date]]:
    """The targets that publish these days."""
    return [(PUBLISH_JOB, day) for day in days]

"""Days that are left out: as if nothing had landed for them, until they are taken back.

A decision of a person, on the record. Later days go on without the day: it is in no window, no
history and no state. Scores that were published for it stay readable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from jobs import FLOW
from jobs.planning.record import Attempt, Record, Records, now
from jobs.setup.exits import NothingToDo, QualityStop
from jobs.step import DayRecord
from jobs.storage.day_files import WRITTEN
from jobs.storage.tables import Tables

LEAVE_OUT = "leave_out"
"""The name under which `runs` holds such decisions."""


def left_out(records: Mapping[tuple[str, date], Record]) -> dict[date, str]:
    """The days that are left out now, each with the reason."""
    return {
        day: str(record.details["reason"])
        for (job, day), record in records.items()
        if job == LEAVE_OUT and record.details["left_out"]
    }


def decide(records: Records, run_id: str, day: date, *, leave: bool, reason: str, who: str) -> None:
    """Record that a day is left out from now on, or taken back."""
    attempt = Attempt(run_id, LEAVE_OUT, now(), "", {}, {})
    details = {"left_out": leave, "reason": reason, "who": who}
    records.add(attempt.rows({day: DayRecord(details=details)}, {}))


def remove_rows(tables: Tables, records: Mapping[tuple[str, date], Record]) -> None:
    """Remove the rows of days that are left out, as they would be read as part of windows.

    Old versions of the tables keep them for as long as old files are kept.
    """
    days = left_out(records)
    published = {day for day in days if _is_published(records, day)}
    for job in FLOW:
        kept = published if job.stage == "scores" else set()
        for name in job.writes:
            held = sorted(tables.days(name) & set(days) - kept) if days else []
            if held:
                tables.commit(name, WRITTEN.empty_table(), held)


def without_left_out(
    records: Mapping[tuple[str, date], Record], targets: Sequence[tuple[str, date]]
) -> list[tuple[str, date]]:
    """Targets whose days are not left out.

    Raises
    ------
    NothingToDo
        All of them are.
    """
    days = left_out(records)
    wanted = [(job, day) for job, day in targets if day not in days]
    if targets and not wanted:
        day = targets[0][1]
        raise NothingToDo(
            f"nothing to do: {day} is left out ({days[day]}); "
            f'promoted-ctr leave-out --date {day} --undo --reason "..." takes it back'
        )
    return wanted


def say_how_to_go_on(
    stop: QualityStop, days: Sequence[date], targets: Sequence[tuple[str, date]]
) -> None:
    """Add it to a stop of days that are not wanted themselves, only read by later ones."""
    wanted = {day for _, day in targets}
    earlier = [day for day in days if day not in wanted and day not in stop.passed]
    # Where the days asked for are what is wrong, an earlier one is not to be left out for it.
    if any(str(day) in str(stop) for day in wanted):
        return
    named = [day for day in earlier if str(day) in str(stop)] or earlier
    if named:
        stop.args = (
            f"{stop}; if its logs cannot be mended, later days go on without it after "
            f'promoted-ctr leave-out --date {named[0]} --reason "..."',
        )


def _is_published(records: Mapping[tuple[str, date], Record], day: date) -> bool:
    record = records.get(("publish_scores", day))
    return record is not None and record.published

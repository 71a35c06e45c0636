"""Days that cannot be made from what has landed are refused, with what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from jobs.planning.planner import Planner
from jobs.setup.exits import InputMissing, NothingToDo


def refuse_impossible(planner: Planner, targets: Sequence[tuple[str, date]]) -> None:
    """Refuse targets that cannot be made from what has landed.

    Raises
    ------
    NothingToDo
        All of them are of days before the logs begin: no log of theirs will come.
    InputMissing
        One of them lacks input, which may come later.
    """
    first = planner.first_day()
    last = max(day for _, day in targets)
    if first is not None and last < first:
        raise NothingToDo(f"nothing to do for {last}: the logs begin on {first}")
    for job, day in targets:
        if planner.fingerprint(job, day) is None:
            reasons = planner.missing(job, day) or [f"{job} has nothing to read for {day}"]
            raise InputMissing(f"cannot make {day}: " + "; ".join(reasons[:3]))

"""Days of passing rows, such as the joint model's: read when later days are made, then no more.

Upkeep lets go of old ones. A day that is made stays made without them; where something that is due
reads them, they are made again from what is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

from jobs import FLOW, JOBS, WRITER

if TYPE_CHECKING:
    from jobs.planning.planner import Planner

PASSING = tuple(table for job in FLOW for table in job.passing)
"""The tables."""


def passed(passing_days: int, traffic_days: Collection[date]) -> date:
    """The last day whose passing rows may be let go of.

    Parameters
    ----------
    passing_days : int
        How many of the newest days are kept; 0: all.
    traffic_days : collection of date
        Days with impressions.
    """
    if not passing_days or not traffic_days:
        return date.min
    return max(traffic_days) - timedelta(days=passing_days)


def want_passed(planner: Planner, wanted: Mapping[str, set[date]]) -> None:
    """Add the days that are not kept any more and that what is wanted reads."""
    pending = [(name, day) for name, days in wanted.items() for day in days]
    while pending:
        name, day = pending.pop()
        for read in JOBS[name].reads:
            writer = WRITER[read.table]
            if read.table not in JOBS[writer].passing:
                continue
            for read_day in planner.read_days(read, day):
                if planner.fingerprint(writer, read_day) is None or read_day in wanted[writer]:
                    continue
                if not planner.is_kept(writer, read_day):
                    wanted[writer].add(read_day)
                    pending.append((writer, read_day))

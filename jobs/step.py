"""What a job is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.landing.sources import Source
    from jobs.planning.record import Record
    from jobs.setup.config import Config
    from jobs.storage.tables import Tables


@dataclass(frozen=True)
class Step:
    """One job over the days it has to make.

    Attributes
    ----------
    days : sequence of date
        The days to make, ascending. All of them are made in one go.
    available : callable
        ``available(name) -> set of date``: the days of a job that are made, or of a landed log
        that are there, so that windows know how many days they hold.
    fingerprints : mapping of date to str
        Fingerprint of each day to make.
    records : mapping of (job, day) to Record
        The newest finished records, of all jobs and days.
    """

    tables: Tables
    config: Config
    source: Source
    days: Sequence[date]
    run_id: str
    fingerprints: Mapping[date, str] = field(default_factory=dict)
    available: Callable[[str], set[date]] = lambda name: set()
    records: Mapping[tuple[str, date], Record] = field(default_factory=dict)

    @property
    def spark(self) -> SparkSession:
        """The session, started by the first job that needs it."""
        return self.tables.spark


@dataclass
class DayRecord:
    """What a job has to say of one day it made; becomes a row of `runs`.

    Attributes
    ----------
    versions_in : dict of str to int
        Delta version of tables that the day has not from where its step read them.
    """

    rows_in: int | None = None
    rows_out: int | None = None
    rows_quarantined: int | None = None
    published: bool = False
    details: dict[str, Any] = field(default_factory=dict)
    versions_in: dict[str, int] = field(default_factory=dict)


Outcome = dict[date, DayRecord]
"""One record per day that was made."""

"""What has to be made for a date: the days whose inputs, configuration or code have changed.

The fingerprint of a job's day is a hash of the job's output version, the configuration sections it
reads and the fingerprints of the days it reads; for landing days, of the files' names, sizes and
modification times. A day is outdated when its recorded fingerprint is another one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from jobs import FLOW, JOBS, WRITER, Job, Read
from jobs.landing.sources import Source
from jobs.planning.landed_logs import LANDED, LandedLogs, digest
from jobs.planning.passing import passed, want_passed
from jobs.planning.reasons import made_from
from jobs.planning.record import Record
from jobs.setup.config import Config
from pipelines.days import contiguous

UNSETTLED = "unsettled"
"""Fingerprint part of a day whose head digest is known only once it has been ingested."""


@dataclass(frozen=True)
class PlannedStep:
    """A job and the days it has to make."""

    job: Job
    days: tuple[date, ...]
    fingerprints: Mapping[date, str]
    made_from: Callable[[date], dict[str, Any]] = lambda day: {}
    """What a day is made from, to be recorded: asked for when it is made."""


class Planner:
    """Fingerprints of every job and day, and the steps that are due.

    Parameters
    ----------
    records : mapping of (job, day) to Record
        The newest finished records.
    present : mapping of str to set of date
        The days for which each table holds files. A job that writes no table is taken at its
        record's word.
    """

    def __init__(
        self,
        config: Config,
        source: Source,
        records: Mapping[tuple[str, date], Record],
        present: Mapping[str, set[date]],
    ) -> None:
        self.config = config
        self.source = source
        self.records = records
        self.present = present
        self._sections = {job.name: config.section_hash(job.sections) for job in FLOW}
        self._known: dict[tuple[str, date], str | None] = {}
        self.landed = LandedLogs(config, source, records)
        self._landed = self.landed.days
        self._traffic = sorted(self._landed["impressions"] | present.get("impressions", set()))
        self._listed = self._landed["listings"] | present.get("listings", set())
        self._passed = passed(config.storage.passing_days, self._traffic)

    def read_days(self, read: Read, day: date) -> list[date]:
        """The days of a table that a job reads for `day`, whether they can be had or not."""
        if read.kind == "anchor":
            return [self.anchor(day)]
        if read.kind == "before":
            writer = WRITER[read.table]
            earlier = reversed(self._traffic[: bisect_left(self._traffic, day)])
            last = next((at for at in earlier if self.fingerprint(writer, at) is not None), None)
            return [] if last is None else [last]
        size = read.window if isinstance(read.window, int) else self.config.number(read.window)
        if size == 1 and not read.end:
            return [day]
        end = day.toordinal() + read.end + 1
        return [date.fromordinal(ordinal) for ordinal in range(end - size, end)]

    def anchor(self, day: date) -> date:
        """The day of the last refit of the text basis: the first that has listings since then."""
        return refit_day(day, self.config.text_svd.refit_every_days, self._listed)

    def first_day(self) -> date | None:
        """The first day that any log has landed for, or that a table holds; None without any."""
        return min(set().union(*self._landed.values(), *self.present.values()), default=None)

    def fingerprint(self, job: str, day: date) -> str | None:
        """What a job's day should be made from; None where it cannot be made."""
        key = (job, day)
        if key not in self._known:
            if any(read.kind == "before" for read in JOBS[job].reads):
                # Day after day: one that asks for the day before it would go as deep as there are.
                for at in self._traffic[: bisect_left(self._traffic, day)]:
                    if (job, at) not in self._known:
                        self._known[job, at] = self._fingerprint(JOBS[job], at)
            self._known[key] = self._fingerprint(JOBS[job], day)
        return self._known[key]

    def _fingerprint(self, job: Job, day: date) -> str | None:
        parts = [job.name, str(day), str(job.output_version), self._sections[job.name]]
        if not job.reads:
            landed = self.landing_digests(day)
            if not landed:
                return None
            # Clicks are matched with the impressions of the day before too.
            before = self.landing_digests(day - timedelta(days=1)).get("impressions")
            return digest([*parts, repr(sorted(landed.items())), repr(before)])
        for read in job.reads:
            inputs = self.read_fingerprints(read, day)
            if read.window == 1 and read.kind == "days" and not read.optional and not inputs:
                return None
            parts += [f"{read.table}@{read_day}={value}" for read_day, value in inputs]
        return digest(parts)

    def landing_digests(self, day: date) -> dict[str, str]:
        """Digest per log of what a day is ingested from: its files, and rows taken in later."""
        return self.landed.digests(day)

    def read_fingerprints(self, read: Read, day: date) -> list[tuple[date, str]]:
        """The days of a table that a job reads for `day`, each with what it is made from."""
        writer = WRITER[read.table]
        fingerprints = []
        for read_day in self.read_days(read, day):
            if not self._has_log(read.table, read_day):
                continue
            value = self.fingerprint(writer, read_day)
            if value is None:
                continue
            fingerprints.append(
                (read_day, self._head(read_day, value) if read.kind == "head" else value)
            )
        return fingerprints

    def _has_log(self, table: str, day: date) -> bool:
        """A landed log may lack a day that the other logs have."""
        if table not in LANDED:
            return True
        return day in self._landed[table] or day in self.present.get(table, set())

    def _head(self, day: date, fingerprint: str) -> str:
        record = self.records.get(("ingest_logs", day))
        if record is None or record.fingerprint != fingerprint:
            return UNSETTLED
        return str(record.details.get("head_digest"))

    def is_made(self, job: str, day: date) -> bool:
        """Whether a job's day is there and made from what it should be made from."""
        record = self.records.get((job, day))
        if record is None or record.fingerprint != self.fingerprint(job, day):
            return False
        if job == "ingest_logs":
            return all(
                day in self.present.get(log, set())
                for log, counts in record.details.get("logs", {}).items()
                if counts.get("accepted")
            )
        if self.is_kept(job, day):
            return True
        return day <= self._passed and JOBS[job].writes[0] in JOBS[job].passing

    def is_kept(self, job: str, day: date) -> bool:
        """Whether the rows that a job's day has are there."""
        record = self.records.get((job, day))
        first = JOBS[job].writes[:1]
        return record is not None and (
            not record.rows_out or all(day in self.present.get(name, set()) for name in first)
        )

    def due(self, targets: Sequence[tuple[str, date]]) -> list[PlannedStep]:
        """The steps that make the targets, in the order of the flow; [] when all is made."""
        wanted: dict[str, set[date]] = {job.name: set() for job in FLOW}
        seen: set[tuple[str, date]] = set()
        pending = list(targets)
        while pending:
            node = pending.pop()
            if node in seen or self.fingerprint(*node) is None:
                continue
            seen.add(node)
            name, day = node
            if not self.is_made(name, day):
                wanted[name].add(day)
            pending += [
                (WRITER[read.table], read_day)
                for read in JOBS[name].reads
                for read_day in self.read_days(read, day)
                if self._has_log(read.table, read_day)
            ]
        want_passed(self, wanted)
        return [
            PlannedStep(
                job,
                days,
                {day: self.fingerprint(job.name, day) or "" for day in days},
                partial(made_from, self, job),
            )
            for job in FLOW
            for days in contiguous(wanted[job.name])
        ]

    def missing(self, job: str, day: date) -> list[str]:
        """Why a job's day cannot be made: the landing logs that are not there, in words."""
        reasons: set[str] = set()
        pending, seen = [(job, day)], set()
        while pending:
            node = pending.pop()
            if node in seen or self.fingerprint(*node) is not None:
                continue
            seen.add(node)
            for read in JOBS[node[0]].reads:
                if read.optional or read.window != 1 or read.kind != "days":
                    continue
                for read_day in self.read_days(read, node[1]):
                    if not self._has_log(read.table, read_day):
                        reasons.add(f"no {read.table} have landed for {read_day}")
                    pending.append((WRITER[read.table], read_day))
        return sorted(reasons)


def refit_day(day: date, every: int, listing_days: set[date]) -> date:
    """The day whose listings the text basis of `day` is fitted on.

    Refit days are those whose ordinal is a multiple of `every`; where the last one has no listings,
    the first later day that has some.
    """
    last = day - timedelta(days=day.toordinal() % every)
    candidates = (last + timedelta(days=ahead) for ahead in range((day - last).days + 1))
    return next((candidate for candidate in candidates if candidate in listing_days), day)

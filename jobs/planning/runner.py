"""Carrying out a plan: one step after the other in one session, each recorded when it is whole."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import groupby

from jobs import FLOW, JOBS
from jobs.landing.sources import Source
from jobs.planning.checks import check_tables
from jobs.planning.failures import announce, record_failure, tables_of
from jobs.planning.landed_logs import LANDED
from jobs.planning.left_out import left_out, remove_rows, say_how_to_go_on, without_left_out
from jobs.planning.memory import Memory
from jobs.planning.planner import PlannedStep, Planner
from jobs.planning.possible import refuse_impossible
from jobs.planning.progress import Progress
from jobs.planning.publications import follow
from jobs.planning.reasons import MADE_FROM
from jobs.planning.record import Attempt, Records, now, table_versions
from jobs.planning.small_steps import is_small
from jobs.setup.config import Config
from jobs.setup.exits import JobError, QualityStop
from jobs.step import Outcome, Step
from jobs.storage.damage import refuse_empty_entries
from jobs.storage.lock import WriterLock
from jobs.storage.tables import Tables
from jobs.storage.upkeep import keep_records_short
from schemas.catalog import TABLES


class Runner:
    """Plans and runs for one warehouse, configuration and source."""

    def __init__(
        self, config: Config, source: Source, tables: Tables, run_id: str, progress: Progress
    ) -> None:
        self.config = config
        self.source = source
        self.tables = tables
        self.run_id = run_id
        self.progress = progress
        self.records = Records(tables)
        self.memory = Memory(tables, config.quality.history_days)
        self.lock = WriterLock(tables.root, run_id)
        tables.before_commit = lambda: self.lock.confirm()
        self.making: PlannedStep | None = None
        """The step that is being made; of a run that broke off, where it did."""
        self.remark: Mapping[str, object] = {}
        """What is recorded with ingested days besides what the job has to say."""

    def planner(self, *, forget: frozenset[tuple[str, date]] = frozenset()) -> Planner:
        """A planner over what is recorded and present now.

        Parameters
        ----------
        forget : set of (job, day)
            Records to be taken as not there.
        """
        records = {k: v for k, v in self.records.newest.items() if k not in forget}
        self.source.left_out = frozenset(left_out(records))
        first_writes = {job.writes[0] for job in FLOW if job.writes} | set(LANDED)
        present = {name: self.tables.days(name) for name in first_writes}
        return Planner(self.config, self.source, records, present)

    def run(
        self,
        targets: Sequence[tuple[str, date]],
        *,
        only: str | None = None,
        force: bool = False,
        first: Callable[[], None] | None = None,
    ) -> list[PlannedStep]:
        """Make the targets: exactly what is missing or outdated.

        Parameters
        ----------
        targets : sequence of (job, day)
        only : str, optional
            Make days of this job only; its inputs must be there.
        force : bool
            Make the targets themselves again, whatever is recorded.
        first : callable, optional
            Called before the first day of a warehouse is ingested, under its lock.

        Returns
        -------
        list of PlannedStep
            What was made; [] when everything was there.

        Raises
        ------
        NothingToDo, InputMissing
            As of `refuse_impossible`.
        JobError
            As of the job that stopped; what was made before it stays.
        """
        with self._alone():
            refuse_empty_entries(self.tables.root, sorted(TABLES))
            keep_records_short(self.tables)
            self.memory = Memory(self.tables, self.config.quality.history_days)
            targets = without_left_out(self.records.newest, targets)
            remove_rows(self.tables, self.records.newest)
            # A run that was killed may have published a day and not have come to this.
            follow(self.tables, self.records.newest)
            forget = frozenset(targets) if force else frozenset()
            planner = self.planner(forget=forget)
            refuse_impossible(planner, targets)
            done: list[PlannedStep] = []
            if first and not any(job == "ingest_logs" for job, _ in self.records.newest):
                first()
            due: list[PlannedStep] = []
            while True:
                if not due or not done[-1].job.reads:
                    due = planner.due(targets)
                    if only is not None:
                        due = [step for step in due if step.job.name == only]
                if not due:
                    return done
                if done and due[0].job.name == done[-1].job.name and due[0].days == done[-1].days:
                    raise JobError(f"{due[0].job.name} for {due[0].days[0]} does not settle")
                self.progress.planned(due)
                self.making = due[0]
                try:
                    self.make(due[0])
                    follow(self.tables, self.records.newest)
                except QualityStop as stop:
                    follow(self.tables, self.records.newest)
                    say_how_to_go_on(stop, due[0].days, targets)
                    raise
                self.making = None
                forget -= {(due[0].job.name, day) for day in due[0].days}
                done.append(due.pop(0))
                # The rest stays due, unless a landed day was read.
                if not due or not done[-1].job.reads:
                    planner = self.planner(forget=forget)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock; what others have written before it, and write after it, is seen."""

        def look_again() -> None:
            self.tables.look_away()
            self.records.reread()

        with self.lock:
            look_again()
            try:
                yield
            finally:
                look_again()

    def make(self, planned: PlannedStep) -> None:
        """Run one step and record it; the record comes last."""
        job = planned.job
        step = Step(
            tables=self.tables,
            config=self.config,
            source=self.source,
            days=planned.days,
            run_id=self.run_id,
            fingerprints=planned.fingerprints,
            available=self._available,
            records=self.records.newest,
        )
        started = now()
        touched = tables_of(job)
        self.tables.look(touched)
        versions_in = table_versions(self.tables, {read.table for read in job.reads})
        commits_before = sum(self.tables.commits[name] for name in job.writes)

        def attempt() -> Attempt:
            out = table_versions(self.tables, job.writes)
            return Attempt(self.run_id, job.name, started, self.config.hash, versions_in, out)

        def seconds() -> float:
            return (now() - started).total_seconds()

        self.progress.started(planned)
        try:
            self.tables.create(job.writes)
            self.tables.look(job.writes)
            # What was planned must still be so where the step begins.
            self.tables.refuse_changed(["runs"])
            self.tables.is_small = is_small(planned, self.config, self.source, self.tables)
            announce(self.records, attempt(), planned)
            outcome: Outcome = importlib.import_module(f"jobs.{job.name}").run(step)
            if job.name == "ingest_logs":
                landed = self.planner().landed
                for day, record in outcome.items():
                    record.details |= {"landing": landed.file_digests(day), **self.remark}
            counts = self.tables.row_counts(job.writes[0], planned.days) if job.writes else {}
            parts = self.tables.stored_parts(job.writes[0], planned.days) if job.writes else {}
            for day, record in outcome.items():
                record.details |= {MADE_FROM: planned.made_from(day)}
                if parts.get(day, 1) > 1:
                    record.details["parts"] = parts[day]
                if record.rows_out is None and job.writes:
                    record.rows_out = counts.get(day, 0)
            self.check_quality(planned, outcome)
            self.tables.refuse_changed(touched)
            self.records.add(attempt().rows(outcome, planned.fingerprints))
        except BaseException as problem:
            self.progress.failed(planned, seconds(), problem)
            if isinstance(problem, Exception):
                commits = sum(self.tables.commits[name] for name in job.writes)
                record_failure(
                    self.tables,
                    self.records,
                    attempt(),
                    planned,
                    problem,
                    committed=commits > commits_before,
                )
            raise
        rows = [record.rows_out for record in outcome.values() if record.rows_out is not None]
        self.progress.finished(planned, seconds(), sum(rows) if rows else None)

    def check_quality(self, planned: PlannedStep, outcome: Outcome) -> None:
        """Check the tables of a step; a stop knows the days that passed, with what was made."""
        landed = {table: self._available(table) for table in planned.job.writes if table in LANDED}
        # The first clicks of a day come before its impressions, and are refused until these land.
        landed["quarantine"] = landed.get("impressions", set())

        def days_of(table: str) -> tuple[date, ...]:
            of_table = landed.get(table, set(planned.days))
            return tuple(day for day in planned.days if day in of_table)

        # In the order of the flow: what is compared with another table is checked after it.
        groups = [
            (list(together), days)
            for days, together in groupby(planned.job.writes, key=days_of)
            if days
        ]
        try:
            check_tables(self.tables, self.config, self.run_id, groups, self.memory)
        except QualityStop as stop:
            stop.passed = {day: made for day, made in outcome.items() if day not in stop.refused}
            raise

    def _available(self, name: str) -> set[date]:
        if name in LANDED:
            return set(self.source.days(name)) | self.tables.days(name)
        if name in JOBS:
            made = {day for job, day in self.records.newest if job == name}
            return made - self.source.left_out
        return self.tables.days(name)

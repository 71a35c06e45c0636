"""Taking in rows that were refused: recorded like any step, so that what depends on them is due."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date

from jobs import JOBS
from jobs.landing.mends import Mend
from jobs.planning.planner import PlannedStep, Planner
from jobs.planning.record import COMMITTED, STARTED, Attempt, now, table_versions
from jobs.planning.runner import Runner
from jobs.setup.exits import UsageError
from jobs.step import DayRecord, Outcome, Step

JOB = JOBS["ingest_logs"]


def replay(runner: Runner, days: Sequence[date], mend: Mend, *, who: str, why: str) -> Outcome:
    """Judge refused rows of some days again, mended by a SELECT.

    The days must be made and up to date. What is killed half-way leaves the days as not made: the
    next run makes them of the old rows.

    Raises
    ------
    UsageError
        A day is not up to date, or the SELECT is wrong.

    Returns
    -------
    Outcome
        Days of which rows came in; empty where none did.
    """
    started = now()
    with runner.lock:
        runner.records.reread()
        planner = runner.planner()
        for day in days:
            if not planner.is_made(JOB.name, day):
                raise UsageError(f"{day} is not up to date: promoted-ctr {JOB.name} --date {day}")
        tables = runner.tables
        step = Step(
            tables=tables, config=runner.config, source=runner.source, days=days,
            run_id=runner.run_id, records=runner.records.newest,
        )  # fmt: skip
        versions_in = table_versions(tables, JOB.writes)

        def attempt() -> Attempt:
            out = table_versions(tables, JOB.writes)
            return Attempt(runner.run_id, JOB.name, started, runner.config.hash, versions_in, out)

        def begin() -> None:
            broken = {COMMITTED: True, "error": "rows were being taken in from the quarantine"}
            outcome = {day: DayRecord(details=broken) for day in days}
            runner.records.add(attempt().rows(outcome, {}, status=STARTED))

        content = json.dumps([asdict(mend), str(started)], sort_keys=True, default=str)
        told = {
            "id": hashlib.sha256(content.encode()).hexdigest()[:12],
            "who": who,
            "why": why,
            "at": started.isoformat(timespec="seconds"),
        }
        job = importlib.import_module(f"jobs.{JOB.name}")
        outcome: Outcome = job.replay(step, mend, told, begin)
        if outcome:
            planner = runner.planner()
            for day, record in outcome.items():
                record.details["landing"] = planner.landed.file_digests(day)
            prints = _fingerprints(runner, outcome)
            runner.check_quality(PlannedStep(JOB, tuple(outcome), prints), outcome)
            runner.records.add(attempt().rows(outcome, prints))
    return outcome


def _fingerprints(runner: Runner, outcome: Outcome) -> dict[date, str]:
    """Those of the days with what was taken in."""
    planner = runner.planner()
    known = {
        (JOB.name, day): replace(planner.records[JOB.name, day], details=record.details)
        for day, record in outcome.items()
    }
    records = {**planner.records, **known}
    with_rows = Planner(planner.config, planner.source, records, planner.present)
    return {day: with_rows.fingerprint(JOB.name, day) or "" for day in outcome}

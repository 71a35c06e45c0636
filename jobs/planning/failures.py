"""Steps that did not finish, on the record; and which tables nobody else may write meanwhile."""

from __future__ import annotations

from jobs import Job
from jobs.planning.planner import PlannedStep
from jobs.planning.reasons import MADE_FROM
from jobs.planning.record import COMMITTED, FAILED, REFUSED, STARTED, Attempt, Records
from jobs.setup.exits import LockHeld, QualityStop, exit_code_of
from jobs.step import DayRecord, Outcome
from jobs.storage.tables import Tables
from schemas.catalog import TABLES


def tables_of(job: Job) -> list[str]:
    """The tables that a job reads or writes and that only runs write."""
    names = {read.table for read in job.reads} | set(job.writes)
    return sorted(name for name in names if name in TABLES and TABLES[name].stage != "quality")


def announce(records: Records, attempt: Attempt, planned: PlannedStep) -> None:
    """Record that rows of finished days are about to be replaced.

    A run that is killed between its commit and its record would leave the old record with the new
    rows, and nobody could tell.
    """
    if planned.job.writes:
        about = {COMMITTED: True, "error": "the run broke off while it replaced rows"}
        again = [day for day in planned.days if (planned.job.name, day) in records.newest]
        outcome = {day: DayRecord(details=dict(about)) for day in again}
        if rows := attempt.rows(outcome, planned.fingerprints, status=STARTED):
            records.add(rows)


def record_failure(
    tables: Tables,
    records: Records,
    attempt: Attempt,
    planned: PlannedStep,
    problem: Exception,
    committed: bool,
) -> None:
    """Record that a step was stopped, as far as that can be done.

    Parameters
    ----------
    committed : bool
        Whether it has replaced rows.
    """
    code = exit_code_of(problem)
    status = REFUSED if isinstance(problem, QualityStop) else FAILED
    passed: Outcome = problem.passed if isinstance(problem, QualityStop) else {}
    details = problem.details if isinstance(problem, QualityStop) else {}
    try:
        tables.refuse_changed(tables_of(planned.job))
    except LockHeld:
        # Whoever else wrote has made them what they are.
        passed = {}
    error = {"error": str(problem)[:2000], COMMITTED: committed}
    outcome = {
        day: DayRecord(details={**details.get(day, {}), **error})
        for day in planned.days
        if day not in passed
    }
    for day, record in passed.items():
        record.details |= {MADE_FROM: planned.made_from(day)}
    rows = attempt.rows(outcome, planned.fingerprints, status=status, exit_code=code)
    rows += attempt.rows(passed, planned.fingerprints)
    try:
        if isinstance(problem, LockHeld) and committed:
            # Whoever else writes must know that these rows are not what was recorded.
            tables.before_commit = lambda: None
            tables.look(["runs"])
        records.add(rows)
    except Exception:
        # The first problem is the one to tell.
        return

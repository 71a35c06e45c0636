"""Exit codes of every command: a public contract, also written to `runs`."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Collection, Mapping
from datetime import date
from enum import IntEnum
from typing import Any, NoReturn

from jobs.setup.problems import java_ended, machine_problem


class ExitCode(IntEnum):
    """What the exit status of a command says."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    QUALITY = 10
    INPUT = 20
    LOCKED = 30
    NOTHING = 99
    TERMINATED = 143


MEANINGS = {
    ExitCode.DONE: "done, or already done",
    ExitCode.UNEXPECTED: "unexpected error; `--verbose` shows the trace",
    ExitCode.USAGE: "usage or configuration: trying again will not help",
    ExitCode.QUALITY: "stopped by a quality check or a gate; nothing is published",
    ExitCode.INPUT: "input is not there or unreadable, or a store does not answer: try again later",
    ExitCode.LOCKED: "another run is writing to the same warehouse",
    ExitCode.NOTHING: "nothing to do for this date: the logs begin later",
    ExitCode.TERMINATED: "terminated; run again",
}


class JobError(Exception):
    """A reason to stop that is told in one line, without a stack trace."""

    exit_code: ExitCode = ExitCode.UNEXPECTED


class UsageError(JobError):
    """A wrong call, a wrong configuration or a wrong machine; trying again will not help."""

    exit_code = ExitCode.USAGE


class QualityStop(JobError):
    """A quality check refused; nothing was published."""

    exit_code = ExitCode.QUALITY

    def __init__(
        self,
        message: str,
        details: Mapping[date, Mapping[str, object]] | None = None,
        passed: Mapping[date, Any] | None = None,
        refused: Collection[date] = (),
    ) -> None:
        """Keep what is to be recorded.

        Parameters
        ----------
        details : mapping, optional
            Of refused days.
        passed : mapping, optional
            Records of the days that passed.
        refused : collection of date
            The days that did not, as far as that can be told.
        """
        super().__init__(message)
        self.details = dict(details or {})
        self.passed = dict(passed or {})
        self.refused = frozenset(refused)


class InputMissing(JobError):
    """Input is not there or is stale; it may come later."""

    exit_code = ExitCode.INPUT


class StoreUnavailable(JobError):
    """An object store does not answer, or asks for patience; trying again later may help."""

    exit_code = ExitCode.INPUT


class LockHeld(JobError):
    """Another run holds the lock, or wrote at the same time."""

    exit_code = ExitCode.LOCKED


class NothingToDo(JobError):
    """There is nothing to do for this date: it is before the first day of the logs."""

    exit_code = ExitCode.NOTHING


def exit_code_of(problem: Exception) -> ExitCode:
    """What a process ends with that a problem has stopped.

    A machine without space needs somebody who mends it, an object store may be well again, as of
    `store_errors`, and a JVM that was killed is started again by the next run. A commit that came
    second is told apart: Delta, through Spark or delta-rs, found that somebody else had committed
    first.
    """
    if isinstance(problem, JobError):
        return problem.exit_code
    if java_ended(problem):
        return ExitCode.TERMINATED
    if machine_problem(problem):
        return ExitCode.USAGE
    from jobs.setup.store_errors import store_cause

    if cause := store_cause(problem):
        return ExitCode.INPUT if cause.passes else ExitCode.USAGE
    is_conflict = type(problem).__name__ == "CommitFailedError"
    if is_conflict or "[DELTA_CONCURRENT_" in str(problem):
        return ExitCode.LOCKED
    return ExitCode.UNEXPECTED


def leave(code: int) -> NoReturn:
    """End the process with this code, whatever libraries do when they are unloaded.

    What was registered for the end still runs. But Arrow's threads now and then abort a process
    that ends right after a scan (apache/arrow issue 39862), and a scheduler would take a finished
    run for a failed one.
    """
    try:
        # No public call runs them. A normal end would, but waits for every thread before, and goes
        # on to the unloading that this is to avoid.
        atexit._run_exitfuncs()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

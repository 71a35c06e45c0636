"""A run that is killed after it has replaced rows, and before it says so, leaves nothing unseen."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.planning.record import read_records
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

LAST = PUBLISHED[-1]
JOB, TABLE, OTHER = "sample_training", "sampling_rates", "sampling.ratio=3"

KILLED = """
import os, signal, sys
from datetime import date
from pathlib import Path
from jobs.planning.record import DONE, Records
from tests.support.chain import Chain

root, landing, day, job, *settings = sys.argv[1:]
add = Records.add

def killed(self, rows):
    if any(row["job"] == job and row["status"] == DONE for row in rows):
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, rows)

Records.add = killed
made = Chain(Path(root), Path(landing), tuple(settings))
made.runner.run([(job, date.fromisoformat(day))], only=job)
"""


def kill_between(made: Chain) -> None:
    """Make a day in a process of its own that is killed between its last commit and its record."""
    words = [str(made.root), str(made.landing), str(LAST), JOB, *made.settings]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_rows_that_no_record_is_of_are_made_again(chain: Chain, tmp_path: Path) -> None:
    made = chain.duplicate(tmp_path)
    before = made.rows(TABLE, LAST)
    kill_between(replace(made, settings=(*made.settings, OTHER)))
    # Its rows are of the other setting, and the newest finished record is of this one.
    assert made.rows(TABLE, LAST) != before
    steps = made.runner.run([(JOB, LAST)], only=JOB)
    assert [(step.job.name, step.days) for step in steps] == [(JOB, (LAST,))]
    assert made.rows(TABLE, LAST) == before
    assert made.runner.run([(JOB, LAST)], only=JOB) == []


def test_an_attempt_that_came_to_nothing_afterwards_hides_it_not(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain.duplicate(tmp_path)
    kill_between(replace(made, settings=(*made.settings, OTHER)))
    # The next run stops before it writes anything.
    runner = made.runner
    monkeypatch.setattr(runner.tables, "create", lambda names: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        runner.run([(JOB, LAST)], only=JOB)
    assert read_records(made.tables)[JOB, LAST].fingerprint == ""
    assert made.runner.run([(JOB, LAST)], only=JOB)


def test_what_is_made_for_the_first_time_costs_no_commit_more(chain: Chain) -> None:
    status = chain.tables.read_arrow("runs", columns=["status"])["status"].to_pylist()
    assert set(status) == {"done"}

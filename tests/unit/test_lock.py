"""One run writes to a warehouse at a time."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.planning.runner import Runner
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, LockHeld
from jobs.storage import lock
from jobs.storage.lock import WriterLock
from jobs.storage.tables import Tables

HOLD_AS_A_JVM_DOES = """
import fcntl, sys
with open(sys.argv[1], "a") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    with (
        WriterLock(str(tmp_path)),
        pytest.raises(LockHeld, match="another run is writing") as refused,
        WriterLock(str(tmp_path)),
    ):
        pass
    assert refused.value.exit_code == ExitCode.LOCKED


def test_a_runner_makes_nothing_while_another_holds_the_lock(
    tmp_path: Path, config: Config
) -> None:
    nothing: Any = None
    runner = Runner(config, nothing, Tables(str(tmp_path)), "second", nothing)
    with WriterLock(str(tmp_path)), pytest.raises(LockHeld):
        runner.run([("publish_scores", date(2026, 1, 1))])
    assert not Tables(str(tmp_path)).exists("runs")


def test_the_next_run_writes_once_the_first_has_ended_or_failed(tmp_path: Path) -> None:
    first, second = WriterLock(str(tmp_path)), WriterLock(str(tmp_path))
    with pytest.raises(RuntimeError), first:
        raise RuntimeError("disk full")
    with second:
        pass
    with first:
        pass


def test_runs_in_other_warehouses_do_not_wait(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    with WriterLock(str(tmp_path / "one")), WriterLock(str(tmp_path / "other")):
        pass


def test_a_run_waits_for_the_jvm_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "SPARK_ENDS_WITHIN_S", 0)
    given = [sys.executable, "-c", HOLD_AS_A_JVM_DOES, str(tmp_path / ".lock-spark")]
    with subprocess.Popen(given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as jvm:
        assert jvm.stdout is not None
        assert jvm.stdout.readline() == "held\n"
        with pytest.raises(LockHeld), WriterLock(str(tmp_path)):
            pass
        jvm.communicate()
    with WriterLock(str(tmp_path)):
        pass

"""How a process ends: its codes, wherever they are told, and that it ends at once."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from jobs import ingest_logs
from jobs.__main__ import build_parser
from jobs.setup import exits
from jobs.setup.exits import ExitCode
from tests.support.ingesting import DAY, land, row
from tests.support.world import Called, Warehouse

CODES = {
    0: ("DONE", "done"),
    1: ("UNEXPECTED", "unexpected"),
    2: ("USAGE", "usage or configuration"),
    10: ("QUALITY", "stopped by"),
    20: ("INPUT", "input not there"),
    30: ("LOCKED", "another run is writing"),
    99: ("NOTHING", "nothing to do"),
    143: ("TERMINATED", "terminated"),
}
"""Number, name, and the beginning of what it is called in texts."""
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

CODE = """
import atexit, threading, time
from jobs.setup.exits import leave
atexit.register(lambda: print("registered"))
threading.Thread(target=time.sleep, args=(60,)).start()
print("told", end=" ")
leave(10)
"""


def test_a_process_leaves_at_once_with_its_code_and_all_it_said():
    # Output that waits in a buffer, whatever the environment of the tests says.
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=buffered,
    )
    assert (done.returncode, done.stdout) == (10, "told registered\n")


def test_the_codes_are_these_numbers():
    assert {int(code): code.name for code in ExitCode} == {
        n: name for n, (name, _) in CODES.items()
    }


def listed_in_help():
    told = build_parser().format_help().partition("exit codes: ")[2]
    return re.findall(r"(\d+) ([^,(]+)", " ".join(told.split()))


def listed_in_docs():
    section = OPERATIONS.read_text(encoding="utf-8").partition("## Exit codes")[2].split("\n## ")[0]
    return re.findall(r"^\| (\d+) \| ([^|]+)", section, flags=re.MULTILINE)


@pytest.mark.parametrize("listed", [listed_in_help, listed_in_docs])
def test_help_and_documents_tell_the_same_numbers(listed):
    told = listed()
    assert [int(number) for number, _ in told] == list(CODES)
    for number, text in told:
        assert text.startswith(CODES[int(number)][1])


def raising(problem):
    """A step that stops because of a problem."""

    def run(step):
        raise problem

    return run


def overtaken(step):
    """A step that commits from what it saw before another writer's commit."""
    name = "quarantine"
    rows = [{"log": "clicks", "raw": "", "reasons": [], "run_id": "x", "ds": DAY}]
    step.tables.write_rows(name, rows, [DAY])
    seen = DeltaTable(step.tables.path(name))
    step.tables.write_rows(name, rows, [DAY])
    write_deltalake(seen, seen.to_pyarrow_table(), mode="overwrite", predicate=f"ds = '{DAY}'")


@pytest.fixture
def end(tmp_path, monkeypatch):
    """Calls a job whose step is replaced."""
    warehouse = Warehouse(tmp_path / "root", tmp_path / "landing")
    land(warehouse.landing, "impressions", [row("impressions")])

    def call(step) -> tuple[Called, list[tuple[str, int]]]:
        monkeypatch.setattr(ingest_logs, "run", step)
        called = warehouse.call("ingest_logs", "--date", str(DAY))
        records = warehouse.tables.read_arrow("runs").to_pylist()
        return called, [(record["status"], record["exit_code"]) for record in records]

    return call


@pytest.mark.parametrize(
    ("step", "status", "code"),
    [
        (raising(ValueError("odd")), "failed", 1),
        (raising(exits.JobError("odd")), "failed", 1),
        (raising(exits.UsageError("wrong")), "failed", 2),
        (raising(exits.QualityStop("refused")), "refused", 10),
        (raising(exits.InputMissing("absent")), "failed", 20),
        (raising(exits.LockHeld("held")), "failed", 30),
        (raising(exits.NothingToDo("no logs")), "failed", 99),
        (raising(Exception("[DELTA_CONCURRENT_APPEND] of Spark")), "failed", 30),
        (overtaken, "failed", 30),
    ],
    ids=["error", "job", "usage", "quality", "input", "lock", "nothing", "of Spark", "of delta-rs"],
)
def test_a_problem_ends_the_process_and_its_record_with_one_code(end, step, status, code):
    called, records = end(step)
    assert called.code == code
    assert called.err.count("\n") == 1
    assert records == [(status, code)]


def test_a_commit_that_came_second_says_so(end):
    called, _ = end(overtaken)
    assert called.err.startswith("promoted-ctr: another run wrote at the same time: ")


TERMINATED = """
import os, signal, sys
from jobs import ingest_logs
from jobs.__main__ import main
ingest_logs.run = lambda step: os.kill(os.getpid(), signal.SIGTERM)
main(sys.argv[1:])
"""


def test_a_terminated_process_ends_with_its_code_and_records_nothing(tmp_path):
    warehouse = Warehouse(tmp_path / "root", tmp_path / "landing")
    land(warehouse.landing, "impressions", [row("impressions")])
    words = ["ingest_logs", "--date", str(DAY), *warehouse.places]
    ended = subprocess.run(
        [sys.executable, "-c", TERMINATED, *words], capture_output=True, check=False, timeout=60
    )
    assert ended.returncode == 143
    assert len(warehouse.tables.read_arrow("runs")) == 0


def test_an_interrupted_process_ends_as_a_terminated_one(end):
    called, _ = end(raising(KeyboardInterrupt()))
    assert called.code == 143

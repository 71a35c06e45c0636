"""Killed, stopped and doubled runs: a day's rows are the old ones or the new ones, and come out."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from jobs.setup.exits import ExitCode
from jobs.storage.lock import WriterLock
from schemas.catalog import TABLES
from tests.e2e.conftest import DAYS
from tests.support.world import Warehouse, day, finish, spark_settings

LAST = day(DAYS)
LEARNT = ("listing_scores", "model_weights", "ensemble_weights", "calibration_maps")
# Records of what was done: as many rows as attempts.
RECORDS = ("runs", "quality_results", "alerts")


@pytest.fixture
def killable(made: Warehouse, tmp_path: Path) -> Warehouse:
    """An empty warehouse whose runs are processes of their own, on one core."""
    spark_settings(tmp_path / "one.toml", master="local[1]", spark_sql_shuffle_partitions=3)
    return Warehouse(tmp_path / "warehouse", made.landing)


def started(warehouse: Warehouse) -> subprocess.Popen[str]:
    """`run` in a process of its own."""
    layout = warehouse.root.parent / "one.toml"
    return warehouse.start("run", "--conf", str(layout), "--log-format", "text")


def wait_for(pattern: str, warehouse: Warehouse, process: subprocess.Popen[str]) -> None:
    """Wait until a run has left a file."""
    deadline = time.monotonic() + 300
    while not any(warehouse.root.glob(pattern)):
        assert process.poll() is None, finish(process)
        assert time.monotonic() < deadline, f"no {pattern} after five minutes"
        time.sleep(0.01)


def assert_no_half_day(warehouse: Warehouse, undisturbed: Warehouse) -> None:
    """Every day of every table is whole or not there at all."""
    for name in (name for name in TABLES if name not in RECORDS):
        whole = undisturbed.tables.row_counts(name)
        for of, rows in warehouse.tables.row_counts(name).items():
            assert rows == whole[of], f"{name} of {of}"


@pytest.mark.slow
def test_a_run_killed_in_two_steps_ends_in_the_same_bits(
    killable: Warehouse, made: Warehouse
) -> None:
    # Each is killed when the first file of a table is there and its commit is not.
    for table in ("clicks", "model_weights"):
        process = started(killable)
        wait_for(f"{table}/**/*.parquet", killable, process)
        process.kill()
        assert finish(process).code == -signal.SIGKILL
        assert_no_half_day(killable, made)
    last = finish(started(killable))
    assert last.code == 0, last
    assert_no_half_day(killable, made)
    for table in LEARNT:
        assert killable.rows(table, LAST) == made.rows(table, LAST), table
    for name in (name for name in TABLES if name not in RECORDS):
        assert killable.tables.row_counts(name) == made.tables.row_counts(name), name


@pytest.mark.slow
def test_a_second_run_is_refused_and_a_stopped_one_ends_without_going_on(
    killable: Warehouse,
) -> None:
    process = started(killable)
    wait_for("impressions/**/*.parquet", killable, process)
    second = killable.call("run")
    assert second.code == ExitCode.LOCKED
    assert second.err == (
        f"promoted-ctr: another run is writing to {killable.root}; wait for it to end\n"
    )
    process.terminate()
    assert finish(process).code == ExitCode.TERMINATED
    recorded = {row["job"] for row in killable.tables.read_arrow("runs").to_pylist()}
    assert recorded <= {"ingest_logs"}
    # The lock is free as soon as the stopped run's Spark is gone.
    with WriterLock(str(killable.root)):
        assert killable.call("ingest_logs", "--date", str(LAST)).code == ExitCode.LOCKED

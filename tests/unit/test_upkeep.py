"""Upkeep changes no row, breaks no promise, and keeps planning as quick as it was."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.__main__ import main
from jobs.planning.passing import PASSING, passed
from jobs.setup.exits import ExitCode
from jobs.storage.lock import WriterLock
from jobs.storage.tables import Tables
from jobs.storage.upkeep import MANY_FILES, READ_BY_RUNS, keep_records_short, maintain
from schemas.catalog import TABLES
from tests.support.chain import Chain
from tests.support.races import TABLE
from tests.support.rows import DAY, row
from tests.support.world import day as world_day
from tests.unit.conftest import DAYS, PUBLISHED

LONG_AGO = time.time() - 100 * 86_400


def records(tables: Tables, count: int) -> None:
    """Append to the record of runs, as many runs do."""
    rows = tables.read_arrow("runs").slice(0, 1).to_pylist()
    for number in range(count):
        tables.write_rows("runs", [rows[0] | {"run_id": f"r{number}", "status": "failed"}], None)


@pytest.fixture
def copy(chain: Chain, tmp_path: Path) -> Chain:
    return chain.duplicate(tmp_path)


def sorted_rows(tables: Tables, name: str) -> list[str]:
    return sorted(map(repr, tables.read_arrow(name).to_pylist()))


def test_upkeep_merges_records_and_leaves_every_row(copy: Chain) -> None:
    records(copy.tables, 30)
    before = {name: sorted_rows(copy.tables, name) for name in TABLES}
    then = copy.tables.version("runs")
    planned = maintain(copy.tables, TABLES, dry_run=True)
    assert copy.tables.version("runs") == then
    done = maintain(copy.tables, TABLES)
    assert [one.merged for one in planned] == [one.merged for one in done]
    assert {one.table: one.merged for one in done}["runs"] > 30
    assert len(copy.tables.delta("runs").file_uris()) == 1
    assert {name: sorted_rows(copy.tables, name) for name in TABLES} == before
    old = copy.tables.delta("runs")
    old.load_as_version(then)
    assert old.to_pyarrow_table().num_rows == len(before["runs"])
    # Nothing was made otherwise: nothing is due.
    assert not copy.runner.run([("publish_scores", PUBLISHED[-1])])
    assert all(one.is_idle for one in maintain(copy.tables, TABLES))


def test_old_entries_of_a_log_go_however_few_have_come_since_its_checkpoint(copy: Chain) -> None:
    log = copy.root / "listings" / "_delta_log"
    copy.tables.delta("listings").create_checkpoint()
    before, rows = list(log.glob("*.json")), sorted_rows(copy.tables, "listings")
    at = time.time() - 100 * 86_400
    for entry in log.iterdir():
        os.utime(entry, (at, at))
    (one,) = maintain(copy.tables, ["listings"])
    assert one.is_idle
    assert len(list(log.glob("*.json"))) < len(before)
    assert sorted_rows(copy.tables, "listings") == rows


def test_old_rows_that_nothing_reads_any_more_go_and_nothing_is_made_for_want_of_them(
    copy: Chain,
) -> None:
    last = passed(3, copy.tables.days("impressions"))
    assert last == world_day(DAYS - 3)
    kept = {name: sorted_rows(copy.tables, name) for name in set(TABLES) - set(PASSING)}
    old = dict.fromkeys(PASSING, last)
    planned = maintain(copy.tables, TABLES, let_go=old, dry_run=True)
    would = {one.table: one.days for one in planned}
    before = {name: copy.tables.days(name) for name in PASSING}
    assert before["joint_rows"] == {world_day(k) for k in range(1, DAYS + 1)}
    for name, days in before.items():
        assert would[name] == sum(day <= last for day in days) > 0
    maintain(copy.tables, TABLES, let_go=old)
    for name, days in before.items():
        assert copy.tables.days(name) == {day for day in days if day > last}
    assert {name: sorted_rows(copy.tables, name) for name in kept} == kept
    short = replace(copy, settings=(*copy.settings, "storage.passing_days=3"))
    assert not short.runner.run([("publish_scores", PUBLISHED[-1])])
    # By a warehouse that keeps them they are missed.
    jobs = {step.job.name for step in copy.runner.planner().due([("train_joint", PUBLISHED[-1])])}
    assert jobs == {"sample_training", "build_features", "build_joint_rows"}


def test_the_command_lets_go_of_what_the_setting_says(copy: Chain) -> None:
    days = {world_day(k) for k in range(1, DAYS + 1)}
    where = ["--set", f"storage.root={copy.root}", "--set", "storage.passing_days=2"]
    assert main(["maintain", "--dry-run", *where]) == ExitCode.DONE
    assert copy.tables.days("joint_rows") == days
    assert main(["maintain", *where]) == ExitCode.DONE
    for name in PASSING:
        assert copy.tables.days(name) == {world_day(DAYS - 1), world_day(DAYS)}
    assert copy.tables.days("labeled_impressions") == days


def test_rows_that_were_let_go_are_made_again_for_what_is_due_and_reads_them(
    copy: Chain, chain: Chain, tmp_path: Path
) -> None:
    maintain(copy.tables, TABLES, let_go=dict.fromkeys(PASSING, world_day(DAYS - 2)))
    settings = (*chain.settings, "storage.passing_days=2", "training.content.l2=0.75")
    short = replace(copy, settings=settings)
    made = short.make("train_models", PUBLISHED[-1])
    # Three days are learnt, and the first of them had been let go of.
    days = {step.job.name: step.days for step in made}
    assert set(days) == {"sample_training", "build_features", "train_models"}
    assert days["build_features"] == days["sample_training"] == (world_day(DAYS - 2),)
    (tmp_path / "other").mkdir()
    whole = replace(chain.duplicate(tmp_path / "other"), settings=settings)
    whole.make("train_models", PUBLISHED[-1])
    last = PUBLISHED[-1]
    assert short.rows("model_weights", last) == whole.rows("model_weights", last)
    assert short.rows("model_weights", last) != chain.rows("model_weights", last)


def test_only_files_that_no_version_within_retention_holds_are_removed(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path))
    rows = [row(TABLE, ds=DAY)]
    tables.write_rows(TABLE, rows, [DAY])
    tables.write_rows(TABLE, rows, [DAY])
    folder = tmp_path / TABLE / f"ds={DAY}"
    replaced = set(folder.glob("*.parquet"))
    # Of a run that was killed long ago, and of one that goes on.
    (killed := folder / "part-killed.parquet").write_bytes(b"x")
    (running := folder / "part-running.parquet").write_bytes(b"x")
    os.utime(killed, (LONG_AGO, LONG_AGO))
    (would,) = maintain(tables, [TABLE], dry_run=True)
    assert (would.removed, killed.exists()) == (1, True)
    (done,) = maintain(tables, [TABLE])
    assert (done.removed, killed.exists(), running.exists()) == (1, False, True)
    assert replaced <= set(folder.glob("*.parquet"))


def test_the_command_does_nothing_beside_a_run_and_clears_what_killed_runs_left(
    copy: Chain, capsys: pytest.CaptureFixture[str]
) -> None:
    records(copy.tables, 3)
    left = copy.root / "_doubtful" / "impressions" / "rows.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    version = copy.tables.version("runs")
    with WriterLock(str(copy.root)):
        assert main(["maintain", "--root", str(copy.root)]) == ExitCode.LOCKED
        assert main(["maintain", "--root", str(copy.root), "--dry-run"]) == ExitCode.DONE
    assert copy.tables.version("runs") == version
    assert left.exists()
    assert "runs" in capsys.readouterr().out
    assert main(["maintain", "--root", str(copy.root)]) == ExitCode.DONE
    assert not left.parent.exists()
    assert copy.tables.version("runs") > version


def test_a_run_keeps_what_runs_read_short_by_itself(copy: Chain) -> None:
    def files(name: str) -> int:
        return len(copy.tables.delta(name).file_uris())

    records(copy.tables, 10)
    keep_records_short(copy.tables)
    assert files("runs") > 10
    records(copy.tables, MANY_FILES)
    tables = copy.tables
    results = tables.read_arrow("quality_results")
    for _ in range(MANY_FILES):
        tables.write_arrow("quality_results", results.slice(0, 1), None)
    before = sorted_rows(tables, "quality_results")
    assert not copy.runner.run([("publish_scores", PUBLISHED[-1])])
    # Results of a day are never in a file with those of another.
    assert files("runs") == 1
    assert files("quality_results") == len(tables.days("quality_results")) > 1
    versions = [copy.tables.version(name) for name in READ_BY_RUNS]
    assert not copy.runner.run([("publish_scores", PUBLISHED[-1])])
    assert [copy.tables.version(name) for name in READ_BY_RUNS] == versions
    assert sorted_rows(copy.tables, "quality_results") == before

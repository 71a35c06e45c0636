"""Bad calls and bad input: one line that says what is wrong, and the exit code of its kind."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from jobs.setup.exits import ExitCode
from pipelines.simulation.marketplace import simulate
from tests.e2e.conftest import DAYS, DIRTY
from tests.support.world import LOGS, Called, Warehouse, World, call, day, tiny

LAST, NEXT = day(DAYS), day(DAYS + 1)


def assert_told(called: Called, code: ExitCode, *words: str) -> None:
    """The code, and one line with these words."""
    assert called.code == code, called
    assert called.err.count("\n") == 1, called.err
    assert called.err.startswith("promoted-ctr: ")
    for word in words:
        assert word in called.err, called.err
    assert "Traceback" not in called.out + called.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "required: command"),
        ("rnu", "invalid choice: 'rnu'"),
        ("run --dat x", "unrecognized arguments: --dat x; see promoted-ctr run --help"),
        ("run --date 2026-13-01", "'2026-13-01' is no date like 2026-01-31"),
        ("run --start 2026-01-01", "--start and --end go together"),
        ("run --date 2026-01-01 --end 2026-01-02", "not both"),
        ("run --start 2026-01-02 --end 2026-01-01", "is before --start"),
        ("backfill", "--start"),
        ("run --env nowhere", "unknown environment 'nowhere': there are dev, prod, test"),
        ("run --set smapling.ratio=3", "configuration: smapling: unknown key"),
        ("run --set sampling.ratoi=3", "configuration: sampling.ratoi: unknown key"),
        ("run --set sampling.ratio=-1", "configuration: sampling.ratio: "),
        ("run --set sampling.ratio", "--set takes section.key=value"),
        ("run --conf /nowhere.toml", "configuration file /nowhere.toml is not there"),
        ("run --source nowhere", "no source 'nowhere'"),
    ],
)
def test_a_wrong_call_is_refused(words: str, told: str, tmp_path: Path) -> None:
    given = [*words.split(), "--root", str(tmp_path / "root")] if words else []
    assert_told(call(given), ExitCode.USAGE, told)
    assert not (tmp_path / "root").exists()


def test_nothing_landed(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "root", tmp_path / "landing")
    assert_told(warehouse.call("run"), ExitCode.INPUT, "landing directory", "is not there")
    warehouse.landing.mkdir()
    assert_told(warehouse.call("run"), ExitCode.USAGE, "nothing has landed")
    assert_told(warehouse.call("run", "--date", str(LAST)), ExitCode.INPUT, f"cannot make {LAST}")
    # Nothing is made; that the day could not be made is an alert.
    made = {path.relative_to(warehouse.root).parts[0] for path in warehouse.root.rglob("*.parquet")}
    assert made == {"alerts"}


def test_a_day_that_has_not_landed(made: Warehouse) -> None:
    far = day(DAYS + 3)
    called = made.call("run", "--date", str(far))
    assert_told(called, ExitCode.INPUT, f"no impressions have landed for {far}")


def test_a_root_that_cannot_be_written(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    below = Warehouse(tmp_path / "file" / "root", world.landing)
    assert_told(below.call("run"), ExitCode.USAGE, "cannot write to", "choose another --root")


@pytest.mark.parametrize("version", ["11.0.2", "1.8.0_402"])
def test_an_old_java(
    version: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java-home" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(java.parents[1]))
    called = Warehouse(tmp_path / "root", world.landing).call("run")
    number = "11" if version.startswith("11") else "8"
    assert_told(called, ExitCode.USAGE, f"is Java {number}, Spark needs 17 or newer")


@pytest.fixture
def next_day(copied: Warehouse, world: World, tmp_path: Path) -> Warehouse:
    """The warehouse of the undisturbed run on the morning after: one more day has landed."""
    truth = tmp_path / "truth"
    truth.mkdir()
    for file in (world.folder / "truth").iterdir():
        os.link(file, truth / file.name)
    simulate(tiny(DAYS + 1, dirty_rows_per_kind=DIRTY), copied.landing, truth)
    return copied


def landed(warehouse: Warehouse, log: str) -> list[Path]:
    """The landing files of the next day."""
    return sorted((warehouse.landing / log / f"ds={NEXT}").iterdir())


def empty(files: list[Path]) -> None:
    """Leave the columns and take the rows."""
    for file in files:
        pq.write_table(pq.ParquetFile(file).read().slice(0, 0), file)


def assert_scores_stay(warehouse: Warehouse, made: Warehouse) -> None:
    """What consumers read is what it was."""
    records = warehouse.tables.read_arrow("runs").to_pylist()
    assert {row["ds"] for row in records if row["published"]} == {LAST}
    assert warehouse.rows("listing_scores") == made.rows("listing_scores")
    assert not warehouse.tables.row_counts("features", [NEXT])


def test_a_day_without_clicks_stops_before_training(next_day: Warehouse, made: Warehouse) -> None:
    empty(landed(next_day, "clicks"))
    called = next_day.call("run", "--date", str(NEXT))
    assert_told(called, ExitCode.QUALITY, "labeled_impressions.click_rate", str(NEXT))
    assert_scores_stay(next_day, made)


def test_an_empty_day_stops_at_once(next_day: Warehouse, made: Warehouse) -> None:
    for log in LOGS:
        empty(landed(next_day, log))
    called = next_day.call("run", "--date", str(NEXT))
    assert_told(called, ExitCode.QUALITY, "impressions", str(NEXT))
    assert_scores_stay(next_day, made)


def test_a_truncated_file_is_named_and_nothing_of_it_is_kept(
    next_day: Warehouse, made: Warehouse
) -> None:
    broken = next(file for file in landed(next_day, "impressions") if "dirty" not in file.name)
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    called = next_day.call("run", "--date", str(NEXT))
    assert_told(called, ExitCode.INPUT, broken.name, str(NEXT))
    assert_scores_stay(next_day, made)
    for log in LOGS:
        # The early clicks of the next day were there before.
        assert next_day.tables.row_counts(log) == made.tables.row_counts(log)


def test_a_table_of_another_version_of_the_code(world: World, tmp_path: Path) -> None:
    old = Warehouse(tmp_path / "root", world.landing)
    write_deltalake(old.tables.path("runs"), pa.table({"job": ["ingest_logs"], "color": ["red"]}))
    called = old.call("run", "--date", str(LAST))
    assert_told(called, ExitCode.USAGE, "was made by another version", "color", "choose another")

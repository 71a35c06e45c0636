"""Whatever way a day was made, its rows are the same, bit for bit."""

from __future__ import annotations

import difflib
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from tests.e2e.conftest import DAYS
from tests.support.world import Warehouse, World, day, spark_settings

LAST = day(DAYS)
# Days that are also made one by one.
SINGLE = 3
FIRST = DAYS - SINGLE + 1
PART_ROWS = 150
"""A day of the tiny marketplace has some hundred."""
# What is learnt and what is published; every other table feeds one of them.
TABLES = ("listing_scores", "model_weights", "ensemble_weights", "calibration_maps")


def assert_same_rows(left: Warehouse, right: Warehouse, of: date, how: str) -> None:
    """Every value of the learnt and published tables; the first difference is told."""
    for table in TABLES:
        one, other = left.rows(table, of), right.rows(table, of)
        if one != other:
            changes = difflib.unified_diff(one, other, lineterm="", n=0)
            told = "\n".join(line for line, _ in zip(changes, range(6), strict=False))
            pytest.fail(f"{table} of {of} differs: {how}\n{told}")
        assert one, f"{table} has no rows for {of}"


@pytest.fixture(scope="module")
def backfilled(made: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Some days by one backfill, with seven shuffle partitions and each day in many parts."""
    folder = tmp_path_factory.mktemp("backfill")
    warehouse = Warehouse(folder / "warehouse", made.landing)
    layout = spark_settings(folder / "seven.toml", spark_sql_shuffle_partitions=7)
    called = warehouse.call(
        "backfill", "--start", str(day(FIRST)), "--end", str(LAST), "--conf", str(layout),
        "--set", f"storage.part_rows={PART_ROWS}",
    )  # fmt: skip
    assert called.code == 0, called
    return warehouse


@pytest.mark.slow
def test_parts_shuffle_partitions_and_a_backfill_change_nothing(
    backfilled: Warehouse, made: Warehouse
) -> None:
    files = backfilled.tables.files("joint_rows", [LAST])
    assert len(files) > 3
    assert_same_rows(made, backfilled, LAST, "one run against a backfill in parts")


@pytest.mark.slow
def test_daily_runs_equal_a_backfill_and_leave_the_days_before_alone(
    world: World, backfilled: Warehouse, tmp_path: Path
) -> None:
    daily = Warehouse(tmp_path / "warehouse", tmp_path / "landing")
    before: dict[date, list[str]] = {}
    for number in range(FIRST, DAYS + 1):
        world.copy(daily.landing, days=number if number < DAYS else None)
        called = daily.call("run", "--date", str(day(number)), "--set", "spark.small_rows=100000")
        assert called.code == 0, called
        before[day(number)] = daily.rows("listing_scores", day(number))
    for of, rows in before.items():
        assert daily.rows("listing_scores", of) == rows, f"a later day changed {of}"
        assert daily.planned(of) == []
        assert_same_rows(backfilled, daily, of, "a backfill by Spark against daily runs without")
    # Late clicks make a day to be read again, and nothing that comes of it to be made again.
    made = Counter((row["job"], row["ds"]) for row in daily.tables.read_arrow("runs").to_pylist())
    again = {job for (job, _), times in made.items() if times > 1}
    assert again == {"ingest_logs"}

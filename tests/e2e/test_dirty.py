"""Dirty landing files: every planted row is refused, every other one accepted, scores come out."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import DAYS, DIRTY
from tests.support.world import LOGS, Warehouse, World, day, tiny

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LAST = day(DAYS)
KEYS = {"impressions": "impression_id", "clicks": "click_id", "listings": "listing_id"}


@pytest.fixture(scope="module")
def json_lines(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[World, Warehouse]:
    """The same marketplace, landed as JSON lines."""
    folder = tmp_path_factory.mktemp("jsonl")
    config = tiny(DAYS, dirty_rows_per_kind=DIRTY, format="jsonl")
    world = World.make(folder / "world", config)
    warehouse = Warehouse(folder / "warehouse", world.landing)
    called = warehouse.call("run")
    assert called.code == 0, called
    return world, warehouse


@pytest.fixture(params=["parquet", "jsonl"])
def ingested(request: pytest.FixtureRequest) -> tuple[World, Warehouse]:
    """A dirty marketplace in a format, and the tables made of it."""
    if request.param == "parquet":
        return request.getfixturevalue("world"), request.getfixturevalue("made")
    found: tuple[World, Warehouse] = request.getfixturevalue("json_lines")
    return found


def planted(world: World) -> dict[str, Any]:
    """Day -> log -> kind -> rows."""
    days = json.loads((world.folder / "truth" / "summary.json").read_text())["days"]
    return {of: content["dirty"] for of, content in days.items()}


def test_quarantine_holds_exactly_what_was_planted(ingested: tuple[World, Warehouse]) -> None:
    world, warehouse = ingested
    rows = warehouse.tables.read_arrow("quarantine").to_pylist()
    refused = Counter((str(row["ds"]), row["log"]) for row in rows)
    wanted = {
        (of, log): sum(kinds.values())
        for of, logs in planted(world).items()
        for log, kinds in logs.items()
    }
    assert dict(refused) == wanted


def test_what_came_in_was_accepted_or_refused(ingested: tuple[World, Warehouse]) -> None:
    _, warehouse = ingested
    rows = warehouse.tables.read_arrow("runs").to_pylist()
    ingests = [row for row in rows if row["job"] == "ingest_logs" and row["status"] == "done"]
    assert len(ingests) == DAYS + 1
    for row in ingests:
        assert row["rows_in"] == row["rows_out"] + row["rows_quarantined"]


def test_every_good_row_is_accepted(world: World, ingested: tuple[World, Warehouse]) -> None:
    _, warehouse = ingested
    for log in LOGS:
        good = {
            identifier
            for file in (world.landing / log).glob(f"ds={LAST}/part-00000.parquet")
            for identifier in pq.ParquetFile(file).read([KEYS[log]])[KEYS[log]].to_pylist()
        }
        found = warehouse.tables.read_arrow(log, [LAST], columns=[KEYS[log]])[KEYS[log]].to_pylist()
        assert sorted(found) == sorted(good), log


def test_the_format_of_the_landing_files_changes_no_score(
    json_lines: tuple[World, Warehouse], made: Warehouse
) -> None:
    _, warehouse = json_lines
    fingerprint = ["run_id"]
    scores = warehouse.rows("listing_scores", LAST, without=fingerprint)
    assert scores == made.rows("listing_scores", LAST, without=fingerprint)

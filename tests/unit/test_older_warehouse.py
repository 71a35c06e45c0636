"""A warehouse that an older version of the code has written is read and carried on."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from jobs.reporting.collect import collect_report
from jobs.setup.exits import UsageError
from jobs.storage.creation import create_table
from jobs.storage.tables import Tables
from schemas.catalog import TABLES
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

BEFORE, LAST = PUBLISHED
UNKNOWN_THEN = {
    "quality_results": ("cause", "state", "low", "high"),
    "listing_scores": ("p_joint",),
    "predictions": ("joint_listing", "joint_context", "listing_ratio", "position"),
    "scored_traffic": ("p_joint",),
    "joint_entities": ("values",),
    "joint_holdings": ("values",),
}
"""Columns that tables did not have when they were first declared."""
NOT_THEN = ("current_scores", "alerts")
"""Tables that there were not."""


def write_as_then(made: Chain, name: str) -> int:
    """Write a table anew without the columns that it did not have; give its version."""
    rows = made.tables.read_arrow(name).drop_columns(list(UNKNOWN_THEN[name]))
    declared = TABLES[name]
    kept = tuple(c for c in declared.columns if c.name not in UNKNOWN_THEN[name])
    path = made.tables.path(name)
    shutil.rmtree(path)
    create_table(path, replace(declared, columns=kept))
    write_deltalake(path, rows, mode="append")
    return Tables(str(made.root)).version(name)


@pytest.fixture(scope="module")
def older(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """As an older version has left it: other columns, other fingerprints. To be copied."""
    made = chain.duplicate(tmp_path_factory.mktemp("older"))
    versions = {name: write_as_then(made, name) for name in UNKNOWN_THEN}
    for name in NOT_THEN:
        shutil.rmtree(made.tables.path(name), ignore_errors=True)
    runs = made.tables.read_arrow("runs").to_pylist()
    for row in runs:
        for column in ("versions_in", "versions_out"):
            named = json.loads(row[column])
            row[column] = json.dumps(named | {n: v for n, v in versions.items() if n in named})
        row["fingerprint"] = f"then-{row['fingerprint']}"
    shutil.rmtree(made.tables.path("runs"))
    Tables(str(made.root)).write_rows("runs", runs, None)
    return made


def without_names(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "run_id"} for row in rows]


def scores(made: Chain, day: Any = LAST) -> list[dict[str, Any]]:
    found = made.tables.read_arrow("listing_scores", [day])
    return without_names(found.sort_by("listing_id").to_pylist())


def test_everything_that_reads_does_so_before_the_first_run(older: Chain) -> None:
    told = json.loads(older.call("scores", "--format", "json", "--limit", "1").out)
    assert (told[0]["ds"], told[0]["p_joint"]) == (str(LAST), None)
    for words in (["runs"], ["publish"], ["quarantine"], ["alerts", "history"], ["leave-out"]):
        called = older.call(*words)
        assert called.code == 0, called.err
    report = collect_report(older.tables, older.config, LAST)
    assert report.published
    assert report.gates
    assert older.tables.version("quality_results") == Tables(str(older.root)).version(
        "quality_results"
    )


def test_the_next_run_carries_it_on(older: Chain, chain: Chain, tmp_path: Path) -> None:
    made = older.duplicate(tmp_path)
    then = scores(made, BEFORE)
    assert made.make("publish_scores", LAST)
    for name, declared in TABLES.items():
        if made.tables.exists(name):
            stored = {field.name for field in made.tables.delta(name).schema().fields}
            assert stored == set(declared.column_names), name
    assert scores(made) == scores(chain)
    assert {row["ds"] for row in made.tables.read_arrow("current_scores").to_pylist()} == {LAST}
    # What was published then is read as it was.
    assert scores(made, BEFORE) == then
    assert all(row["p_joint"] is None for row in then)
    assert made.call("scores", "--date", str(BEFORE)).code == 0
    assert made.make("publish_scores", LAST) == []


def test_tasks_read_files_of_then_with_the_column_empty_where_it_may_be(older: Chain) -> None:
    read = older.tables.day_reader("quality_results", [LAST], ["status", "cause"])
    rows = read(LAST)
    assert rows.num_rows == rows["cause"].null_count > 0
    # Where it may not, a day that was not made again is not taken for one that says nothing.
    with pytest.raises(ValueError, match="null"):
        older.tables.day_reader("listing_scores", [LAST], ["listing_id", "p_joint"])(LAST)


def test_columns_that_went_or_are_others_are_refused(chain: Chain, tmp_path: Path) -> None:
    declared = TABLES["sampling_rates"]
    for change in (
        (*declared.columns[:-1], replace(declared.columns[0], name="gone"), declared.columns[-1]),
        (replace(declared.columns[0], type=declared.columns[-1].type), *declared.columns[1:]),
    ):
        root = tmp_path / str(len(change))
        create_table(str(root / declared.name), replace(declared, columns=change, constraints={}))
        with pytest.raises(UsageError, match="was made by another version, with other columns"):
            Tables(str(root)).create([declared.name])

"""One run: what is there afterwards, and what another run has to do."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from jobs import FLOW
from tests.e2e.conftest import DAYS
from tests.support.world import Called, Warehouse, World, call, day, finish, tiny

LAST = day(DAYS)


def test_a_run_on_an_empty_warehouse_publishes_the_last_day(
    first_run: tuple[Warehouse, Called],
) -> None:
    made, called = first_run
    assert called.code == 0, called.err
    published = [
        row["ds"]
        for row in made.tables.read_arrow("runs").to_pylist()
        if row["published"] and row["status"] == "done"
    ]
    assert published == [LAST]
    for job in FLOW:
        assert f"event=done job={job.name} " in called.out


@pytest.mark.slow
def test_small_days_in_the_canonical_types_need_no_java(tmp_path: Path) -> None:
    landing = World.make(tmp_path / "world", tiny(4)).landing
    warehouse = Warehouse(tmp_path / "warehouse", landing)
    nowhere = {"JAVA_HOME": str(tmp_path), "PATH": str(tmp_path)}
    small = {"PROMOTED_CTR__SPARK__SMALL_ROWS": "100000"}
    called = finish(warehouse.start("run", **nowhere, **small))
    assert called.code == 0, called
    assert warehouse.rows("listing_scores", day(4))


def test_every_live_promoted_listing_has_a_score(made: Warehouse) -> None:
    live = {
        row["listing_id"]
        for row in made.tables.read_arrow("listings", [LAST]).to_pylist()
        if row["is_promoted"] and (row["quantity"] is None or row["quantity"] > 0)
    }
    scores = made.tables.read_arrow("listing_scores", [LAST]).to_pylist()
    assert live == {row["listing_id"] for row in scores}
    assert len(scores) == len(live) > 0
    assert all(0 < row["p_click"] < 1 for row in scores)


def test_great_expectations_agrees_on_every_day_and_is_linked_from_the_report(
    made: Warehouse,
) -> None:
    rows = made.tables.read_arrow("quality_results").to_pylist()
    said = [row for row in rows if row["check"] == "great_expectations"]
    assert {row["status"] for row in said} == {"PASS"}
    assert min(row["rows"] for row in said) > 30
    link = f"great_expectations/{LAST}/index.html"
    assert (made.reports / link).is_file()
    assert link in (made.reports / f"{LAST}.html").read_text(encoding="utf-8")


def test_the_report_is_there_for_people_and_for_machines(made: Warehouse) -> None:
    page = (made.reports / f"{LAST}.html").read_text(encoding="utf-8")
    assert f"<title>promoted-ctr {LAST}: published</title>" in page
    told = json.loads((made.reports / f"{LAST}.json").read_text(encoding="utf-8"))
    assert (told["ds"], told["published"]) == (str(LAST), True)
    assert [step["job"] for step in told["steps"]] == [job.name for job in FLOW]
    assert told["scores"]["count"] == made.tables.row_counts("listing_scores")[LAST]
    refused = made.tables.read_arrow("quarantine", [LAST])["log"].to_pylist()
    assert told["quarantined_rows"] == dict(sorted(Counter(refused).items()))
    assert {gate["status"] for gate in told["gates"]} <= {"PASS", "SKIP", "WARN"}


def test_a_finished_day_is_left_alone_without_spark(
    made: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A session that started would look for this Java first.
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    runs = made.tables.version("runs")
    called = made.call("run", "--date", str(LAST))
    assert (called.code, made.planned(LAST)) == (0, [])
    assert "nothing to do" in called.out
    assert made.tables.version("runs") == runs


def test_a_dry_run_tells_the_plan_and_writes_nothing(copied: Warehouse) -> None:
    elsewhere = Warehouse(copied.root.parent / "nothing-here", copied.landing)
    before = sorted(copied.root.parent.rglob("*"))
    told = elsewhere.call("run", "--dry-run")
    again = copied.call("run", "--dry-run")
    forced = copied.call("build_history", "--date", str(LAST), "--dry-run", "--force")
    assert sorted(copied.root.parent.rglob("*")) == before
    assert (told.code, again.code, forced.code) == (0, 0, 0)
    assert all(job.name in told.out for job in FLOW)
    assert "nothing to do" in again.out
    assert "build_history" in forced.out
    assert "predict_traffic" not in forced.out


def test_force_makes_a_day_again_with_the_same_bits(copied: Warehouse, made: Warehouse) -> None:
    version = copied.tables.version("listing_scores")
    called = copied.call("score_listings", "--date", str(LAST), "--force", "--log-format", "json")
    assert called.code == 0, called
    assert copied.tables.version("listing_scores") > version
    assert copied.rows("listing_scores") == made.rows("listing_scores")
    events = [json.loads(line) for line in called.out.splitlines()]
    assert [(event["event"], event["job"]) for event in events] == [
        ("started", "score_listings"),
        ("done", "score_listings"),
    ]


def test_a_changed_feature_setting_leaves_the_logs_alone(made: Warehouse) -> None:
    told = made.call("run", "--dry-run", "--set", "sampling.ratio=3")
    steps = [line.split()[0] for line in told.out.splitlines()]
    assert {"sample_training", "train_models"} <= set(steps)
    assert not {"ingest_logs", "label_impressions", "count_entities"} & set(steps)


def test_the_effective_configuration_is_printed() -> None:
    told = call(["run", "--print-config", "--env", "prod", "--set", "sampling.ratio=3"])
    values = json.loads(told.out)
    assert told.code == 0
    assert values["sampling"]["ratio"] == 3
    assert not values["spark"]["master"].startswith("local")

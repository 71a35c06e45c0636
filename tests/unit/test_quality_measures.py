"""Checks of stored tables: one aggregation, one record, and what stops a run."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from pyarrow.dataset import dataset

from jobs.planning.checks import check, check_tables, stop_if_blocked
from jobs.planning.own_quality import rules_of
from jobs.setup.environment import conf_directory
from jobs.setup.exits import ExitCode, QualityStop
from jobs.storage.contracts import arrow_schema
from jobs.storage.tables import Tables
from pipelines.features.hashing import hash_token
from pipelines.quality.evaluate import measure_day
from pipelines.quality.groups import GroupCounts
from pipelines.quality.measures import measure
from pipelines.quality.past import Past
from pipelines.quality.rule_files import load_rules
from tests.support.rows import arrow_rows

DAY = date(2026, 2, 6)
SURFACES = ("search", "promoted")


@pytest.fixture
def tables(tmp_path):
    return Tables(str(tmp_path / "warehouse"))


@pytest.fixture
def config(tmp_path):
    quality = SimpleNamespace(history_days=28, min_history_days=7)
    source = SimpleNamespace(name="canonical")
    storage = SimpleNamespace(reports=str(tmp_path), project="")
    return SimpleNamespace(quality=quality, source=source, storage=storage)


def impression(number, day=DAY, **changes):
    row = {
        "impression_id": f"{day}-{number}",
        "ts": datetime(day.year, day.month, day.day, number % 24, tzinfo=UTC),
        "surface": SURFACES[number % 2],
        "request_id": f"r{number // 10}",
        "user_id": f"u{number % 7}",
        "query": None,
        "listing_id": f"l{number % 5}",
        "position": 1 + number % 10,
        "device": "mobile",
        "country": "DE",
        "attributes": None,
        "ds": day,
    }
    return row | changes


def labeled(number, day=DAY, clicked=False, **changes):
    own = {"clicked": clicked, "click_delay_s": 60 if clicked else None, "is_valid_traffic": True}
    return impression(number, day) | own | changes


def click(number, day=DAY):
    ts = datetime(day.year, day.month, day.day, number % 24, 30, tzinfo=UTC)
    return {
        "click_id": f"c{number}", "impression_id": f"{day}-{number}", "ts": ts,
        "impression_ds": day, "impression_ts": ts, "user_id": None, "listing_id": "l1", "ds": day,
    }  # fmt: skip


def listing(number, day=DAY, **changes):
    row = {
        "listing_id": f"l{number}", "shop_id": "s1", "title": "mug", "tags": None,
        "category": "home > mugs", "price": 9.5, "quantity": 3, "created_ts": None,
        "is_promoted": True, "image_vector": None, "attributes": None, "ds": day,
    }  # fmt: skip
    return row | changes


def score(number, day=DAY, **changes):
    row = {
        "listing_id": f"l{number}", "p_click": 0.01 + number / 1000, "logit": -4.0,
        "p_historical": 0.01, "p_content": 0.01, "p_ensemble": 0.01, "p_joint": 0.01,
        "segment": "warm",
        "window_impressions": 10, "standard_error": 0.1, "model_as_of": day, "run_id": "f",
        "ds": day,
    }  # fmt: skip
    return row | changes


def status(results, table, name, part=""):
    found = [r.status for r in results if (r.table, r.check, r.slice) == (table, name, part)]
    assert len(found) == 1
    return found[0]


def test_measures_are_those_of_the_rows(tables):
    why = "a worked example of every measure"
    given = [
        {"kind": "row", "name": "bad", "reason": "CASE WHEN position > 8 THEN 'low' END"},
        {"kind": "share", "name": "mobile", "condition": "device = 'mobile'"},
        {"kind": "count", "name": "part", "by": {"surface": list(SURFACES)}},
        {"kind": "sum", "name": "sum", "expression": "position / 4.0"},
        {"kind": "column", "name": "nulls", "column": "query", "metric": "null_share"},
        {"kind": "column", "name": "least", "column": "position", "metric": "min"},
        {"kind": "column", "name": "most", "column": "position", "metric": "max"},
        {"kind": "sum", "name": "whole", "expression": "position", "whole": True},
        {"kind": "column", "name": "span", "column": "position", "metric": "range"},
        {"kind": "column", "name": "mean", "column": "position", "metric": "mean"},
        {"kind": "column", "name": "users", "column": "user_id", "metric": "distinct"},
        {"kind": "table", "name": "rows", "metric": "rows"},
        {"kind": "table", "name": "twice", "metric": "duplicate_keys"},
        {"kind": "table", "name": "hours", "metric": "missing_hours"},
    ]
    rules = load_rules(
        {
            "t": {
                "table": "impressions",
                "rule": [r | {"severity": "info", "why": why} for r in given],
            }
        }
    )["impressions"]
    rows = [impression(k) for k in range(10)]
    rows += [impression(0), impression(11, device=None, user_id=None)]
    tables.write_rows("impressions", rows, [DAY])
    row = measure(tables.dataset("impressions", [DAY]), rules)[DAY]
    values = {name: value for name, value in row.items() if name.endswith("|value")}
    assert values == {
        "bad||value": 2,
        "mobile||value": 11,
        "part|search|value": 6,
        "part|promoted|value": 6,
        "sum||value": 14.5,
        "nulls||value": 12,
        "whole||value": 58,
        "span||value": 9.0,
        "least||value": 1.0,
        "most||value": 10.0,
        "mean||value": pytest.approx(58 / 12),
        "users||value": 7,
        "rows||value": 12,
        "twice||value": 1,
        "hours||value": 13,
    }
    assert row["bad||rows"] == 12


def own_rules(table, *given):
    rules = [{"severity": "warn", "why": "a worked example of its kind"} | rule for rule in given]
    return load_rules({"t": {"table": table, "rule": rules}})[table]


def results_of(tables, table, rules, day=DAY):
    row = measure(tables.dataset(table, [day]), rules)[day]
    measured = measure_day(rules, day, row, Past(), min_history_days=7)
    return {m.check: m for m in measured}


def test_groups_count_rows_and_hits_of_every_value_and_of_null(tables):
    rows = [labeled(k, clicked=k % 4 == 0, device=("a", "b", None)[k % 3]) for k in range(12)]
    tables.write_rows("labeled_impressions", rows, [DAY])
    rules = own_rules(
        "labeled_impressions",
        {"kind": "groups", "name": "by_device", "groups": "device", "hits": "clicked"},
        {"kind": "mean", "name": "place", "expression": "position", "where": "device = 'a'"},
    )
    found = results_of(tables, "labeled_impressions", rules)
    counts = GroupCounts.read(found["by_device"].state)
    assert (counts.base, counts.hits) == ({"a": 4, "b": 4, "": 4}, {"a": 1, "b": 1, "": 1})
    assert found["place"].value == 5.5


def test_an_attribute_that_knows_the_label_is_named(tables):
    def seen(number, secret):
        clicked = number % 11 == 0
        told = [("page", "home"), ("secret", str(number) if secret and clicked else "none")]
        return labeled(number, clicked=clicked, attributes=told)

    rules = own_rules(
        "labeled_impressions",
        {"kind": "leak", "name": "leaked", "features": {"device": "device", "user": "user_id"},
         "attributes": "attributes", "min_hits": 20},
    )  # fmt: skip
    for secret, passes in ((False, True), (True, False)):
        rows = [seen(number, secret) for number in range(700)]
        tables.write_rows("labeled_impressions", rows, [DAY])
        found = results_of(tables, "labeled_impressions", rules)["leaked"]
        assert found.within is passes
        if secret:
            assert found.note == "attributes.secret alone, the best of 4 features"


def test_a_hash_that_is_not_the_one_learnt_by_is_no_hash(tables):
    def named(value, shift=0):
        slot = hash_token("tag", value) + shift
        return {"slot": slot, "namespace": "tag", "value": value, "rows": 1, "ds": DAY}

    rules = own_rules(
        "feature_names",
        {"kind": "hashing", "name": "health", "slot": "slot",
         "token": "namespace || '=' || value", "bits": 12, "max": 1},
    )  # fmt: skip
    tables.write_rows("feature_names", [named(f"v{k}") for k in range(300)], [DAY])
    sound = results_of(tables, "feature_names", rules)["health"]
    assert sound.within
    assert sound.baseline == pytest.approx(300 - 4096 * (1 - (1 - 1 / 4096) ** 300))
    tables.write_rows("feature_names", [named(f"v{k}", shift=1) for k in range(300)], [DAY])
    assert not results_of(tables, "feature_names", rules)["health"].within
    crowded = [named("v0"), named("v1")] + [named("v0") | {"value": f"v0{k}"} for k in range(60)]
    tables.write_rows("feature_names", crowded, [DAY])
    assert not results_of(tables, "feature_names", rules)["health"].within


def test_a_sound_day_passes_and_is_recorded_in_one_commit(tables, config):
    tables.write_rows("impressions", [impression(k) for k in range(100)], [DAY])
    tables.write_rows("listings", [listing(k) for k in range(5)], [DAY])
    tables.create(["quality_results"])
    before = tables.version("quality_results")
    results = check_tables(
        tables, config, "run-1", [(("impressions", "clicks", "listings", "quarantine"), [DAY])]
    )
    assert not [r for r in results if r.status in ("FAIL", "ERROR", "WARN")]
    stored = tables.read_arrow("quality_results")
    assert len(stored) == len(results)
    assert tables.version("quality_results") - before == 1
    assert set(stored["run_id"].to_pylist()) == {"run-1"}


def test_a_label_joined_twice_stops_the_run_after_it_is_recorded(tables, config):
    tables.write_rows("impressions", [impression(k) for k in range(100)], [DAY])
    check_tables(tables, config, "run-1", [(("impressions",), [DAY])])
    rows = [labeled(k) for k in range(100)] + [labeled(0)]
    tables.write_rows("labeled_impressions", rows, [DAY])
    with pytest.raises(QualityStop, match="rows_of_impressions") as stop:
        check_tables(tables, config, "run-1", [(("labeled_impressions",), [DAY])])
    assert stop.value.exit_code == ExitCode.QUALITY
    stored = tables.read_arrow("quality_results").to_pylist()
    failed = [row["check"] for row in stored if row["status"] == "FAIL"]
    assert failed == ["rows_of_impressions"]


def test_a_dead_click_stream_stops_before_training(tables, config):
    rows = [labeled(k, clicked=k % 100 == 0) for k in range(40_000)]
    tables.write_rows("labeled_impressions", rows, [DAY])
    results = check(tables, config, "run-1", ("labeled_impressions",), [DAY])
    assert status(results, "labeled_impressions", "click_rate", "search") == "PASS"
    with pytest.raises(QualityStop, match=r"\[promoted\] of 2026-02-06: 0, .*; next: .*[^.]$"):
        stop_if_blocked(results)


@pytest.mark.parametrize(
    ("found", "coverage", "any_found"),
    [(0, "WARN", "FAIL"), (20, "WARN", "FAIL"), (400, "WARN", "PASS"), (1000, "PASS", "PASS")],
)
def test_ids_of_listings_that_join_with_nothing_stop_the_day(
    tables, config, found, coverage, any_found
):
    names = {"listing": 1000, "shop": found, "category": found}
    rows = [
        {"entity_type": kind, "entity_id": "x", "surface": "promoted", "impressions": shown,
         "clicks": 0, "ds": DAY}
        for kind, shown in names.items() if shown
    ]  # fmt: skip
    tables.write_arrow("entity_counts", arrow_rows("entity_counts", rows), [DAY])
    results = check(tables, config, "run-1", ("entity_counts",), [DAY])
    assert status(results, "entity_counts", "listing_coverage", "promoted") == coverage
    assert status(results, "entity_counts", "any_promoted_found") == any_found


@pytest.mark.parametrize("log", ["impressions", "clicks", "listings"])
@pytest.mark.parametrize(
    ("refused", "accepted", "judged"),
    [(40, 0, "FAIL"), (40, 60, "FAIL"), (20, 80, "PASS"), (0, 0, "SKIP")],
)
def test_a_log_of_which_a_third_is_refused_stops_the_day(
    tables, config, log, refused, accepted, judged
):
    rows = {"impressions": impression, "clicks": click, "listings": listing}[log]
    if accepted:
        tables.write_rows(log, [rows(k) for k in range(accepted)], [DAY])
    if refused:
        gone = {"log": log, "raw": "{}", "reasons": ["null_key"], "run_id": "run-1", "ds": DAY}
        tables.write_rows("quarantine", [gone] * refused, [DAY])
    results = check(tables, config, "run-1", (log, "quarantine"), [DAY])
    assert status(results, "quarantine", f"refused_of_accepted_{log}") == judged


def test_a_range_of_days_is_judged_as_day_by_day(tables, config):
    days = [DAY - timedelta(days=k) for k in range(9, -1, -1)]
    rows = [
        labeled(k, day, clicked=k % 20 < 4)
        for n, day in enumerate(days)
        for k in range(400 if n == 9 else 1500)
    ]
    rows += [labeled(9999, DAY, clicked=True)]
    tables.write_rows("labeled_impressions", rows, days)
    names = ("labeled_impressions",)
    together = check(
        tables, config, "r", names, days, clock=lambda: datetime(2026, 2, 7, tzinfo=UTC)
    )
    alone = []
    for day in days:
        made = check(tables, config, "r", names, [day])
        tables.write_rows("quality_results", [vars(result) for result in made], None)
        alone += made
    at = together[0].checked_at
    assert [replace(result, checked_at=at) for result in alone] == together


def test_a_table_without_rows_of_the_day_fails_where_it_must_not_be_empty(tables, config):
    results = check(tables, config, "r", ("listing_scores",), [DAY])
    assert status(results, "listing_scores", "rows") == "FAIL"
    assert status(results, "listing_scores", "not_a_probability") == "SKIP"


def test_scores_are_held_against_the_live_promoted_listings(tables, config):
    snapshot = [listing(k) for k in range(100)]
    snapshot += [listing(100, is_promoted=False), listing(101, quantity=0)]
    tables.write_rows("listings", snapshot, [DAY])
    check_tables(tables, config, "r", [(("listings",), [DAY])])
    tables.write_rows("listing_scores", [score(k) for k in range(99)], [DAY])
    names = ("listing_scores",)
    assert status(check(tables, config, "r", names, [DAY]), names[0], "coverage") == "PASS"
    tables.write_rows("listing_scores", [score(k) for k in range(98)], [DAY])
    assert status(check(tables, config, "r", names, [DAY]), names[0], "coverage") == "FAIL"


def test_a_listing_scored_twice_or_with_no_number_stops(tables, config):
    rows = [score(k) for k in range(3)] + [score(2), score(4, p_ensemble=float("nan"))]
    tables.write_rows("listing_scores", rows, [DAY])
    results = check(tables, config, "r", ("listing_scores",), [DAY])
    assert status(results, "listing_scores", "duplicate_keys") == "FAIL"
    assert status(results, "listing_scores", "not_a_probability") == "FAIL"


def test_a_sample_is_held_against_its_declared_rate(tables, config):
    day_rows = [labeled(k, clicked=k % 50 < 2) for k in range(10_000)]
    tables.write_rows("labeled_impressions", day_rows, [DAY])
    check_tables(tables, config, "r", [(("labeled_impressions",), [DAY])])
    kept = [r for k, r in enumerate(day_rows) if r["clicked"] or k % 10 < 2]
    columns = [c for c in tables_columns("training_samples") if c in kept[0]]
    sample = [{c: r[c] for c in columns} for r in kept]
    names = ("training_samples",)
    for rate, expected in ((1 / 6, "PASS"), (0.4, "FAIL")):
        rows = [r | {"sampling_rate": rate, "order_key": 1} for r in sample]
        tables.write_rows("training_samples", rows, [DAY])
        results = check(tables, config, "r", names, [DAY])
        assert status(results, names[0], "clicks_of_labels", "search") == "PASS"
        assert status(results, names[0], "population_of_labels", "search") == expected


def tables_columns(name):
    from schemas.catalog import TABLES

    return TABLES[name].column_names


def test_a_rule_that_cannot_be_evaluated_is_an_error_and_stops(tables, config, monkeypatch):
    broken = load_rules(
        {
            "t": {
                "table": "impressions",
                "rule": [
                    {"kind": "share", "name": "odd", "severity": "block", "condition": "nose = 1",
                     "why": "no such column exists"},
                    {"kind": "table", "name": "rows", "severity": "block", "metric": "rows",
                     "min": 1, "why": "a sound rule beside a broken one"},
                ],
            }
        }
    )  # fmt: skip
    monkeypatch.setattr("jobs.planning.checks.rules_for", lambda config: broken)
    tables.write_rows("impressions", [impression(0)], [DAY])
    results = check(tables, config, "r", ("impressions",), [DAY])
    assert {r.check: r.status for r in results} == {"odd": "ERROR", "rows": "PASS"}
    with pytest.raises(QualityStop, match="cannot be evaluated"):
        stop_if_blocked(results)


def test_every_shipped_rule_can_be_evaluated():
    shipped = rules_of(conf_directory() / "quality")
    assert "listing_scores" in shipped
    for table, rules in shipped.items():
        assert measure(dataset(arrow_schema(table).empty_table()), rules) == {}

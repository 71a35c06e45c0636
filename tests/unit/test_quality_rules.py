"""Quality rules: what a rule file may say, and how a metrics row is judged."""

import math
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from jobs import WRITER
from pipelines.quality.evaluate import errors, measure_day
from pipelines.quality.history import against_history, robust_z
from pipelines.quality.past import Past
from pipelines.quality.results import blocking, judge
from pipelines.quality.rule_files import RuleError, load_rules, metric_column

DAY = date(2026, 2, 6)
NOW = datetime(2026, 2, 7, 3, tzinfo=UTC)
WHY = "it would break what consumers read"


def rules(*given, table="impressions", others=()):
    files = {f"{t}.toml": {"table": t, "rule": list(r)} for t, r in others}
    return load_rules({"own.toml": {"table": table, "rule": list(given)}, **files})[table]


def rule(kind, name="it", severity="block", **values):
    return {"kind": kind, "name": name, "severity": severity, "why": WHY, **values}


def results(loaded, row, past=None, day=DAY):
    measured = measure_day(loaded, day, row, past or Past(), min_history_days=7)
    return [judge(m, table=loaded.table, day=day, run_id="r", now=NOW) for m in measured]


def row_of(**values):
    """Metrics row: ``name=(value, rows)`` or ``name=value``, of unsliced rules."""
    row = {}
    for name, given in values.items():
        value, rows = given if isinstance(given, tuple) else (given, None)
        row[metric_column(name, "", "value")] = value
        row[metric_column(name, "", "rows")] = rows
    return row


def history(table, check, values, day=DAY, status="PASS"):
    past = Past()
    for back, value in enumerate(reversed(values), start=1):
        past.add((table, check, ""), day - timedelta(days=back), status, value)
    return past


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (rule("share", condition="true", maximum=1), "maximum"),
        (rule("share"), "condition"),
        (rule("glance"), "glance"),
        (rule("share", condition="true", severity="fatal"), "severity"),
        (rule("share", condition="true", min=1, max=0), "above"),
        (rule("column", column="nose", metric="mean"), "nose"),
        (rule("share", condition="true", by={"nose": ["a"]}), "nose"),
        (rule("history", of="nothing"), "nothing"),
        (rule("history", of="it"), "no rule it before"),
    ],
)
def test_a_rule_that_cannot_be_checked_is_refused_by_name(given, says):
    with pytest.raises(RuleError, match=says) as caught:
        rules(given)
    assert "own.toml" in str(caught.value)


def test_a_comparison_names_a_rule_that_exists():
    own = [rule("table", "rows", metric="rows"), rule("compare", of="rows", to="listings.rows")]
    with pytest.raises(RuleError, match=r"there is no rule listings\.rows"):
        rules(*own)
    other = ("listings", [rule("table", "rows", metric="rows")])
    assert rules(*own, others=[other]).named("it").to == "listings.rows"


def test_rules_of_a_table_have_names_of_their_own():
    with pytest.raises(RuleError, match="twice"):
        rules(rule("share", condition="true"), rule("share", condition="false"))


def test_every_shipped_rule_file_loads_and_names_a_table_that_a_job_writes():
    files = sorted(Path("conf/quality").glob("*.toml"))
    loaded = load_rules({p.name: tomllib.loads(p.read_text()) for p in files})
    assert {p.stem for p in files} == set(loaded)
    assert set(loaded) <= set(WRITER)
    assert "listing_scores" in loaded


def test_a_slice_value_cannot_end_its_string():
    loaded = rules(rule("share", condition="true", by={"surface": ["a' OR '1'='1"]}))
    assert "'a'' OR ''1''=''1'" in loaded.named("it").selects("a' OR '1'='1")


@pytest.mark.parametrize(
    ("severity", "status", "stops"),
    [
        ("block", "FAIL", True),
        ("quarantine", "FAIL", False),
        ("warn", "WARN", False),
        ("info", "WARN", False),
    ],
)
def test_severity_decides_what_a_broken_rule_does(severity, status, stops):
    loaded = rules(rule("share", condition="clicked", severity=severity, max=0.1))
    (result,) = results(loaded, row_of(it=(20, 100)))
    assert (result.status, result.observed, result.expected) == (status, 0.2, "<= 0.1")
    assert bool(blocking([result])) is stops


def test_an_empty_day_has_no_rows_but_its_shares_are_skipped():
    loaded = rules(
        rule("table", "rows", metric="rows", min=1), rule("share", "rate", condition="clicked")
    )
    rows, rate = results(loaded, None)
    assert (rows.status, rows.observed) == ("FAIL", 0.0)
    assert (rate.status, rate.observed, rate.details) == ("SKIP", None, "there are no such rows")


def test_too_few_rows_are_recorded_but_not_judged():
    loaded = rules(rule("share", condition="clicked", min=0.001, min_rows=1000))
    (result,) = results(loaded, row_of(it=(0, 999)))
    assert (result.status, result.observed) == ("SKIP", 0.0)
    assert result.details == "999 rows, at least 1000 are needed to judge"
    (result,) = results(loaded, row_of(it=(0, 1000)))
    assert result.status == "FAIL"


def test_not_a_number_is_outside_any_bounds():
    loaded = rules(rule("column", column="position", metric="mean", min=0))
    (result,) = results(loaded, row_of(it=(math.nan, 5)))
    assert result.status == "FAIL"


def test_rules_that_could_not_be_evaluated_block_if_they_would():
    loaded = rules(
        rule("share", "a", condition="clicked"), rule("share", "b", "warn", condition="clicked")
    )
    found = errors(loaded, DAY, {"a": "no column clicked", "b": "nor here"}, run_id="r", now=NOW)
    assert {r.status for r in found} == {"ERROR"}
    assert [r.check for r in blocking(found)] == ["a"]


def test_a_rule_about_what_could_not_be_evaluated_could_not_either():
    loaded = rules(
        rule("share", "a", condition="clicked"),
        rule("share", "b", condition="clicked"),
        rule("history", "c", of="a"),
    )
    found = errors(loaded, DAY, {"a": "no column clicked"}, run_id="r", now=NOW)
    assert [r.check for r in found] == ["a", "c"]


@pytest.mark.parametrize(
    ("own", "other", "status"),
    [(100, 100, "PASS"), (99, 100, "FAIL"), (101, 100, "FAIL"), (0, 0, "SKIP"), (1, 0, "FAIL"),
     (5, None, "SKIP")],
)  # fmt: skip
def test_rows_are_compared_with_those_of_the_table_they_come_from(own, other, status):
    loaded = rules(
        rule("table", "rows", metric="rows"),
        rule("compare", of="rows", to="listings.rows", min=1, max=1),
        others=[("listings", [rule("table", "rows", metric="rows")])],
    )
    past = Past()
    if other is not None:
        past.add(("listings", "rows", ""), DAY, "PASS", other)
    assert results(loaded, row_of(rows=own), past)[1].status == status


def test_counting_noise_widens_a_comparison():
    given = rule("compare", of="a", to="b", min=1, max=1)
    tables = [rule("sum", "a", expression="1"), rule("sum", "b", expression="1")]
    row = row_of(a=(1040, 400), b=(1000, 400))
    assert results(rules(*tables, given), row)[2].status == "FAIL"
    assert results(rules(*tables, {**given, "noise": 1}), row)[2].status == "PASS"
    assert results(rules(*tables, {**given, "noise": 0.5}), row)[2].status == "FAIL"


def test_history_needs_its_days_and_says_how_many_there_are():
    loaded = rules(rule("table", "rows", metric="rows"), rule("history", of="rows", min=-5, max=5))
    past = history("impressions", "rows", [1000.0] * 6)
    skipped = results(loaded, row_of(rows=10), past)[1]
    assert (skipped.status, skipped.details) == ("SKIP", "6 earlier days, at least 7 are needed")
    past = history("impressions", "rows", [1000.0] * 7)
    failed = results(loaded, row_of(rows=10), past)[1]
    assert (failed.status, failed.baseline) == ("FAIL", 1000.0)


def test_a_click_stream_that_dies_at_noon_stops_the_day():
    loaded = rules(
        rule("share", "rate", condition="clicked"), rule("history", of="rate", min=-6, floor=0.05)
    )
    past = history("impressions", "rate", [0.0095, 0.0098, 0.0101, 0.0097, 0.0099, 0.0102, 0.0096])
    assert results(loaded, row_of(rate=(300, 60_000)), past)[1].status == "FAIL"
    assert results(loaded, row_of(rate=(540, 60_000)), past)[1].status == "PASS"


def test_restless_days_excuse_no_collapse():
    past = history("impressions", "rate", [0.05, 0.09, 0.06, 0.10, 0.045, 0.085, 0.11])
    rate = rule("share", "rate", condition="clicked")
    collapse = rule("history", of="rate", min=-6, floor=0.10, ceiling=0.15)
    assert results(rules(rate, collapse), row_of(rate=(0, 12_000)), past)[1].status == "FAIL"
    assert results(rules(rate, collapse), row_of(rate=(400, 12_000)), past)[1].status == "PASS"
    unbounded = rule("history", of="rate", min=-6, floor=0.10)
    assert results(rules(rate, unbounded), row_of(rate=(0, 12_000)), past)[1].status == "PASS"


def test_few_clicks_are_no_collapse():
    loaded = rules(
        rule("share", "rate", condition="clicked"), rule("history", of="rate", min=-6, floor=0.05)
    )
    past = history("impressions", "rate", [0.005, 0.006, 0.0055, 0.0057, 0.0061, 0.0052, 0.0058])
    assert results(loaded, row_of(rate=(4, 2900)), past)[1].status == "PASS"


def test_neither_the_day_itself_nor_later_days_are_history():
    past = {DAY + timedelta(days=k): 5.0 for k in range(20)}
    assert against_history(DAY, 5.0, past, (), min_days=7, floor=0.05) is None
    earlier = {DAY - timedelta(days=k): 1.0 for k in range(1, 8)}
    found = against_history(DAY, 5.0, past | earlier, (), min_days=7, floor=0.05)
    assert found is not None
    assert (found.centre, found.days) == (1.0, 7)


def test_a_weekend_is_compared_with_weekends():
    sunday = date(2026, 2, 8)
    past = {
        day: 40.0 if day.weekday() == 6 else 100.0
        for day in (sunday - timedelta(days=k) for k in range(1, 29))
    }
    found = against_history(sunday, 40.0, past, (), min_days=7, floor=0.05)
    assert found is not None
    assert (found.z, found.days, found.same_weekday) == (0.0, 4, True)


def test_anomalies_of_the_past_are_no_yardstick_until_they_are_the_rule():
    days = [DAY - timedelta(days=k) for k in range(1, 15)]
    past = {day: 10.0 if k < 7 else 100.0 for k, day in enumerate(days)}
    found = against_history(DAY, 100.0, past, days[:7], min_days=7, floor=0.05)
    assert found is not None
    assert (found.z, found.centre, found.days) == (0.0, 100.0, 7)
    shifted = {day: 10.0 if k < 10 else 100.0 for k, day in enumerate(days)}
    found = against_history(DAY, 10.0, shifted, days[:10], min_days=7, floor=0.05)
    assert found is not None
    assert (found.z, found.days) == (0.0, 14)


def test_robust_z_is_the_distance_in_median_absolute_deviations():
    # Median 10, deviations 2 1 0 1 2: MAD 1.
    z, centre = robust_z(14.0, [8, 9, 10, 11, 12], floor=0.01)
    assert (z, centre) == (pytest.approx(4 / 1.4826), 10)
    assert robust_z(1.0, [0, 0, 0], floor=0.05)[0] == math.inf
    assert robust_z(0.0, [0, 0, 0], floor=0.05)[0] == 0.0
    # A steady history makes no anomaly of a trifle: its spread is at least this share of it.
    assert robust_z(10.4, [10, 10, 10], floor=0.05)[0] == pytest.approx(0.8)


def test_the_latest_record_of_a_day_counts():
    past = Past()
    past.add(("t", "c", ""), DAY, "FAIL", 1.0)
    past.add(("t", "c", ""), DAY, "PASS", 2.0)
    assert past.value(("t", "c", ""), DAY) == 2.0
    assert not past.anomalies["t", "c", ""]


@pytest.mark.parametrize("min_rows", [0, 30])
def test_nothing_where_another_table_has_rows_is_a_failure_not_a_skip(min_rows):
    loaded = rules(
        rule("sum", "counted", "info", expression="impressions"),
        rule("compare", of="counted", to="labeled_impressions.valid", min=1, min_rows=min_rows),
        table="entity_counts",
        others=[("labeled_impressions", [rule("count", "valid", "info", condition="true")])],
    )
    past = Past()
    past.add(("labeled_impressions", "valid", ""), DAY, "PASS", 4000.0)
    counted, compared = results(loaded, {}, past)
    assert (counted.status, counted.observed) == ("PASS", 0.0)
    assert (compared.status, compared.observed) == ("FAIL", 0.0)
    assert [found.check for found in blocking([counted, compared])] == ["it"]


@pytest.mark.parametrize(
    ("table", "stops"),
    [
        ("entity_counts", {"impressions_of_labels"}),
        ("training_samples", {"clicks_of_labels", "population_of_labels"}),
    ],
)
def test_a_table_without_rows_beside_one_that_has_them_stops_by_the_shipped_rules(table, stops):
    files = Path("conf/quality").glob("*.toml")
    loaded = load_rules({p.name: tomllib.loads(p.read_text()) for p in files})[table]
    past = Past()
    for surface in ("search", "promoted"):
        past.add(("labeled_impressions", "valid_impressions", surface), DAY, "PASS", 4000.0)
        past.add(("labeled_impressions", "clicks", surface), DAY, "PASS", 100.0)
    found = {(result.check, result.slice) for result in blocking(results(loaded, {}, past))}
    assert {(name, part) for name in stops for part in ("search", "promoted")} <= found

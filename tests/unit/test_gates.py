"""Publish gates: when the last good scores stay."""

import tomllib
from pathlib import Path

import pytest

from pipelines.models.judged import CALIBRATION_RATIO as RATIO
from pipelines.models.judged import COMPARED, EXPECTED_CLICKS
from pipelines.models.judged import NORMALIZED_ENTROPY as ENTROPY
from pipelines.models.metrics import METRICS
from pipelines.quality.gates import ENTROPY_DIFFERENCE, GateLimits, failures, gates


def shipped(**changes):
    values = tomllib.loads(Path("conf/base/publish.toml").read_text())["publish"]
    return GateLimits(**(values | changes))


@pytest.fixture(scope="module")
def config():
    return shipped()


def metric(name, value, *, segment="mixed", clicks=600, low=None, high=None, model="published"):
    return {
        "model": model, "segment": segment, "metric": name, "value": value, "low": low,
        "high": high, "rows": 60_000, "clicks": clicks, "baseline": None, "reason": None,
    }  # fmt: skip


def good(*changed):
    rows = [
        metric(RATIO, 1.03, low=0.95, high=1.11),
        metric(ENTROPY, 0.94, low=0.92, high=0.96),
        metric(ENTROPY_DIFFERENCE, -0.03, low=-0.04, high=-0.02),
    ]
    return list({row["metric"]: row for row in (*rows, *changed)}.values())


def status(results, name):
    return next(r.status for r in results if r.name == name)


def test_a_good_day_is_published(config):
    results = gates(good(), 1.0, config)
    assert not failures(results)
    assert status(results, "calibration_ratio") == "PASS"


@pytest.mark.parametrize(
    ("value", "stops"), [(0.79, True), (0.80, False), (1.25, False), (1.26, True)]
)
def test_a_ratio_outside_its_bounds_stops(config, value, stops):
    rows = good(metric(RATIO, value))
    assert bool(failures(gates(rows, 1.0, config))) is stops


@pytest.mark.parametrize(("value", "stops"), [(0.999, False), (1.0, True), (float("nan"), True)])
def test_predictions_no_better_than_the_mean_click_rate_stop(config, value, stops):
    assert bool(failures(gates(good(metric(ENTROPY, value)), 1.0, config))) is stops


@pytest.mark.parametrize(
    ("value", "low", "expected"),
    [(-0.01, -0.02, "PASS"), (0.01, -0.01, "WARN"), (0.03, 0.01, "FAIL")],
)
def test_losing_to_the_baseline_beyond_chance_stops(config, value, low, expected):
    rows = good(metric("normalized_entropy_difference", value, low=low, high=value + 0.02))
    assert status(gates(rows, 1.0, config), "normalized_entropy_against_baseline") == expected


@pytest.mark.parametrize(("coverage", "stops"), [(0.99, False), (0.9899, True), (None, True)])
def test_listings_without_a_score_stop(config, coverage, stops):
    assert bool(failures(gates(good(), coverage, config))) is stops


def field_value(segment, ratio, clicks, expected=None):
    """The rows of a field's value, as the evaluation writes them."""
    return [
        metric(RATIO, ratio, segment=segment, clicks=clicks),
        metric(EXPECTED_CLICKS, expected or ratio * clicks, segment=segment, clicks=clicks),
    ]


SMALL = field_value("device=tv", 9.0, 50)


@pytest.mark.parametrize(
    ("ratio", "stops"), [(0.66, True), (0.67, False), (1.5, False), (1.51, True)]
)
def test_a_field_value_with_enough_expected_clicks_is_judged_by_itself(config, ratio, stops):
    large = field_value("device=mobile", ratio, 1600)
    results = gates([*good(), *large, *SMALL], 1.0, config)
    assert [r.name for r in failures(results)] == ["calibration_ratio of device=mobile"] * stops
    if not stops:
        assert status(results, "calibration_ratio of field values") == "PASS"


def test_a_field_value_that_promised_clicks_and_got_none_stops(config):
    dead = field_value("device=mobile", None, 0, expected=1200.0)
    (stopped,) = failures(gates([*good(), *dead], 1.0, config))
    assert stopped.name == "calibration_ratio of device=mobile"
    assert "no value over 0 clicks" in stopped.details


def test_field_values_of_few_expected_clicks_are_not_judged(config):
    results = gates([*good(), *SMALL], 1.0, config)
    assert not failures(results)
    assert status(results, "calibration_ratio of field values") == "SKIP"


def test_few_clicks_are_not_judged_and_the_reason_is_told(config):
    rows = good(
        metric(RATIO, 1.9, clicks=16),
        metric(ENTROPY, 1.2, clicks=16),
        metric(ENTROPY_DIFFERENCE, 0.2, clicks=16),
    )
    results = gates(rows, 1.0, config)
    assert not failures(results)
    skipped = next(r for r in results if r.name == "calibration_ratio")
    assert (skipped.status, skipped.observed) == ("SKIP", 1.9)
    assert "16 clicks, at least 300 are needed" in skipped.details


def test_scores_that_no_day_has_judged_are_refused_with_what_to_set(config):
    (stopped,) = failures(gates([], 1.0, config))
    assert stopped.name == "evaluation"
    assert "publish.require_evaluation = false" in stopped.details


def test_unjudged_scores_pass_where_that_is_asked_for():
    results = gates([], 1.0, shipped(require_evaluation=False))
    assert not failures(results)
    assert status(results, "evaluation") == "SKIP"


def test_coverage_is_judged_without_an_evaluation(config):
    names = {r.name for r in failures(gates([], 0.5, config))}
    assert names == {"coverage", "evaluation"}


def test_gates_read_metrics_that_the_evaluation_writes():
    assert {ENTROPY, RATIO} <= set(METRICS)
    assert ENTROPY_DIFFERENCE in {f"{name}_difference" for name in COMPARED}


def test_a_metric_that_is_missing_stops(config):
    rows = [metric(RATIO, 1.0)]
    assert {r.name for r in failures(gates(rows, 1.0, config))} == {
        "normalized_entropy",
        "normalized_entropy_against_baseline",
    }

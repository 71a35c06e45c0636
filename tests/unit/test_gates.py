"""Publish gates: when the last good scores stay, and what stays undecided."""

import tomllib
from pathlib import Path

import numpy as np
import pytest

from pipelines.models.calibration_metrics import calibration_ratio
from pipelines.models.clumps import Clumps
from pipelines.models.judged import CALIBRATION_RATIO as RATIO
from pipelines.models.judged import COMPARED, EXPECTED_CLICKS, Judged
from pipelines.models.judged import NORMALIZED_ENTROPY as ENTROPY
from pipelines.models.metrics import METRICS, evaluate
from pipelines.quality.gates import (
    ENTROPY_DIFFERENCE,
    GateLimits,
    GateResult,
    failures,
    gates,
    in_words,
)


def shipped(**changes):
    values = tomllib.loads(Path("conf/base/publish.toml").read_text())["publish"]
    return GateLimits(**(values | changes))


@pytest.fixture(scope="module")
def config():
    return shipped()


def metric(name, value, low=None, high=None, *, segment="mixed", clicks=600, reason=None):
    return {
        "model": "published", "segment": segment, "metric": name, "value": value, "low": low,
        "high": high, "rows": 60_000, "clicks": clicks, "baseline": None, "reason": reason,
    }  # fmt: skip


def good(*changed):
    rows = [
        metric(RATIO, 1.03, 0.95, 1.11),
        metric(ENTROPY, 0.94, 0.92, 0.96),
        metric(ENTROPY_DIFFERENCE, -0.03, -0.04, -0.02),
    ]
    return list({row["metric"]: row for row in (*rows, *changed)}.values())


def said(results, name, part=""):
    return next(r for r in results if (r.name, r.slice) == (name, part))


def status(results, name):
    return said(results, name).status


def test_a_good_day_is_published(config):
    results = gates(good(), 1.0, config)
    assert not failures(results)
    assert status(results, "calibration_ratio") == "PASS"


# A public log of 59 clicks, of which .043 were promised and whose normalized entropy was above the
# baseline's by .34; and one whose 54 clicks were promised 6.06 times.
PROVEN = {
    "a twentieth of the clicks promised": metric(RATIO, 0.043, 0.031, 0.062, clicks=59),
    "worse than the baseline": metric(ENTROPY_DIFFERENCE, 0.34, 0.26, 0.42, clicks=59),
    "six times the clicks promised": metric(
        RATIO, 6.06, *calibration_ratio(6.06 * 54, 54, Clumps())[1], clicks=54
    ),
}


@pytest.mark.parametrize("row", PROVEN.values(), ids=PROVEN)
def test_what_is_proven_by_few_clicks_stops_all_the_same(config, row):
    (stopped,) = failures(gates(good(row), 1.0, config))
    assert (stopped.status, stopped.observed) == ("FAIL", row["value"])
    assert f"({row['low']:.4g} to {row['high']:.4g})" in stopped.details
    assert "the whole interval lies outside" in stopped.details


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.80, 0.60, 1.00), "PASS"),
        ((1.25, 1.10, 1.60), "PASS"),
        ((0.79, 0.60, 0.80), "SKIP"),
        ((0.79, 0.60, 0.799), "FAIL"),
        ((1.26, 1.25, 1.30), "SKIP"),
        ((1.26, 1.251, 1.30), "FAIL"),
        ((None, 1.24, None), "SKIP"),
        ((None, 1.26, None), "FAIL"),
        ((1.26, None, None), "SKIP"),
    ],
)
def test_a_ratio_stops_where_its_whole_interval_is_outside_its_bounds(config, interval, expected):
    rows = good(metric(RATIO, *interval))
    assert status(gates(rows, 1.0, config), "calibration_ratio") == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((0.999, 0.90, 1.10), "PASS"),
        ((1.0, 0.999, 1.2), "SKIP"),
        ((1.1, 1.0, 1.2), "FAIL"),
        ((None, None, None), "SKIP"),
    ],
)
def test_predictions_proven_no_better_than_the_mean_click_rate_stop(config, interval, expected):
    rows = good(metric(ENTROPY, *interval))
    assert status(gates(rows, 1.0, config), "normalized_entropy") == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((-0.01, -0.02, 0.01), "PASS"),
        ((0.0, -0.01, 0.01), "PASS"),
        ((0.01, 0.0, 0.02), "SKIP"),
        ((0.03, 0.001, 0.05), "FAIL"),
    ],
)
def test_losing_to_the_baseline_beyond_chance_stops(config, interval, expected):
    rows = good(metric(ENTROPY_DIFFERENCE, *interval))
    assert status(gates(rows, 1.0, config), "normalized_entropy_against_baseline") == expected


@pytest.mark.parametrize("segment", ["cold", "warm"])
def test_a_segment_proven_worse_than_the_baseline_stops_and_is_named(config, segment):
    rows = [*good(), metric(ENTROPY_DIFFERENCE, 0.03, 0.001, 0.05, segment=segment)]
    (stopped,) = failures(gates(rows, 1.0, config))
    assert (stopped.name, stopped.slice) == ("normalized_entropy_against_baseline", segment)


def test_a_segment_proven_off_stops_and_one_without_traffic_is_not_asked(config):
    empty = [
        metric(name, None, segment="warm", reason="no impressions") | {"rows": 0}
        for name in (RATIO, ENTROPY_DIFFERENCE)
    ]
    off = metric(RATIO, 1.7, 1.51, 1.9, segment="cold")
    results = gates([*good(), *empty, off], 1.0, config)
    assert [(r.name, r.slice) for r in failures(results)] == [("calibration_ratio", "cold")]
    assert not [r for r in results if r.slice == "warm"]


@pytest.mark.parametrize("clicks", [0, 1, 59, 100_000])
@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (PROVEN["worse than the baseline"], "FAIL"),
        (metric(ENTROPY_DIFFERENCE, 0.1, -0.1, 0.3), "SKIP"),
        (metric(ENTROPY_DIFFERENCE, -0.1, -0.3, 0.1), "PASS"),
    ],
)
def test_the_number_of_clicks_decides_nothing_by_itself(config, row, expected, clicks):
    results = gates(good(row | {"clicks": clicks}), 1.0, config)
    assert status(results, "normalized_entropy_against_baseline") == expected


@pytest.mark.parametrize(("coverage", "stops"), [(0.99, False), (0.9899, True), (None, True)])
def test_listings_without_a_score_stop(config, coverage, stops):
    assert bool(failures(gates(good(), coverage, config))) is stops


def day(promised, clicks, rows=20_000):
    """Metrics of a day on which each row was promised alike, its clicks by as many users."""
    clicked = np.arange(rows) < clicks
    p = {"published": np.full(rows, promised / rows), "baseline": np.full(rows, 100 / rows)}
    judged = Judged(clicked, np.arange(rows), np.zeros(rows, dtype=bool), p, "baseline")
    return [vars(row) for row in evaluate(judged)]


@pytest.mark.parametrize(("promised", "expected"), [(200, "FAIL"), (3, "SKIP")])
def test_clicks_that_were_promised_and_did_not_come_stop_where_chance_does_not_explain_it(
    config, promised, expected
):
    results = gates(day(promised, clicks=0), 1.0, config)
    ratio = said(results, "calibration_ratio")
    assert (ratio.status, ratio.observed) == (expected, None)
    assert f"at least {promised / 3.68888:.4g} (no clicks)" in ratio.details
    assert f"({promised:.1f} promised)" in ratio.details
    for name in ("normalized_entropy", "normalized_entropy_against_baseline"):
        assert status(results, name) == "SKIP"
        assert "no value (no clicks)" in said(results, name).details


def test_one_click_is_judged_and_undecided_where_the_estimate_is_outside(config):
    ratio = said(gates(day(promised=3, clicks=1), 1.0, config), "calibration_ratio")
    assert (ratio.status, ratio.observed) == ("SKIP", pytest.approx(3.0))
    assert "the interval reaches inside: chance may have put it there" in ratio.details


def field_value(segment, ratio, low, high, promised=1_600.0):
    """The rows of a field's value, as the evaluation writes them."""
    return [
        metric(RATIO, ratio, low, high, segment=segment),
        metric(EXPECTED_CLICKS, promised, segment=segment),
    ]


INSIDE = field_value("device=desktop", 1.1, 1.0, 1.2)
UNDECIDED = field_value("device=tv", 9.0, 1.4, 60.0)


@pytest.mark.parametrize(
    "interval", [(0.5, 0.4, 0.66), (1.7, 1.51, 1.9), (None, 1.51, None)], ids=str
)
def test_a_field_value_whose_whole_interval_is_outside_stops_and_is_named(config, interval):
    results = gates(
        [*good(), *INSIDE, *UNDECIDED, *field_value("device=mobile", *interval)], 1.0, config
    )
    (stopped,) = failures(results)
    assert (stopped.name, stopped.slice) == ("calibration_ratio", "device=mobile")
    assert "1600.0 promised" in stopped.details
    assert str(stopped).startswith("calibration_ratio of device=mobile: ")


def test_field_values_inside_their_bounds_are_counted(config):
    result = said(gates([*good(), *INSIDE], 1.0, config), "calibration_ratio of field values")
    assert (result.status, result.observed) == ("PASS", 1.0)


def test_field_values_that_nobody_can_tell_are_named_and_not_passed(config):
    results = gates([*good(), *INSIDE, *UNDECIDED], 1.0, config)
    result = said(results, "calibration_ratio of field values")
    assert result.status == "SKIP"
    assert "1 of 2 field values inside their bounds" in result.details
    assert "device=tv 9 (1.4 to 60)" in result.details


def test_a_day_without_field_values_says_so(config):
    result = said(gates(good(), 1.0, config), "calibration_ratio of field values")
    assert (result.status, result.details) == ("SKIP", "no field value was judged")


def test_scores_that_no_day_has_judged_are_refused_with_what_to_set(config):
    (stopped,) = failures(gates([], 1.0, config))
    assert stopped.name == "evaluation"
    assert "publish.require_evaluation = false" in stopped.details


def test_unjudged_scores_pass_where_that_is_asked_for():
    results = gates([], 1.0, shipped(require_evaluation=False))
    assert not failures(results)
    assert status(results, "evaluation") == "SKIP"


@pytest.mark.parametrize("required", [True, False])
def test_probabilities_that_are_no_numbers_are_never_published(required):
    reason = "2 probabilities are not numbers from 0 to 1"
    names = (RATIO, ENTROPY, ENTROPY_DIFFERENCE)
    rows = [metric(name, None, reason=reason) for name in names]
    results = gates(rows, 1.0, shipped(require_evaluation=required))
    assert [result.name for result in failures(results)] == ["evaluation"]
    assert reason in said(results, "evaluation").details


def test_coverage_is_judged_without_an_evaluation(config):
    names = {r.name for r in failures(gates([], 0.5, config))}
    assert names == {"coverage", "evaluation"}


def test_gates_read_metrics_that_the_evaluation_writes():
    assert {ENTROPY, RATIO, EXPECTED_CLICKS} <= set(METRICS)
    assert ENTROPY_DIFFERENCE in {f"{name}_difference" for name in COMPARED}


def test_a_metric_that_is_missing_is_undecided_and_says_so(config):
    results = gates([metric(RATIO, 1.0, 0.9, 1.1)], 1.0, config)
    for name in ("normalized_entropy", "normalized_entropy_against_baseline"):
        assert (said(results, name).status, said(results, name).details) == (
            "SKIP",
            "not in model_metrics",
        )


def test_metrics_of_another_model_are_not_read(config):
    others = [row | {"model": "ensemble"} for row in (*good(*PROVEN.values()), *UNDECIDED)]
    assert not failures(gates([*others, *good()], 1.0, config))
    assert [r.name for r in failures(gates(others, 1.0, config))] == ["evaluation"]


def test_many_gates_that_stop_for_one_reason_are_one_finding_with_a_count() -> None:
    def off(shop: str) -> GateResult:
        return GateResult("calibration_ratio", "FAIL", 9.0, "in [0.67, 1.5]", "9.0", f"shop={shop}")

    many = [off(f"s{number}") for number in range(12)]
    coverage = GateResult("coverage", "FAIL", 0.5, ">= 0.99", "50% have a score")
    told = in_words([*many, coverage])
    assert "promised and observed clicks differ, say 12 gates" in told
    assert "and 9 more; coverage: 50% have a score" in told
    assert told.count("shop=") == 3
    assert in_words(many[:1]) == str(many[0])

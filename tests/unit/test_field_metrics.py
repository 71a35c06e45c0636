"""Judging a day by field value: planted ratios, rare values, intervals by user, the gate."""

from dataclasses import asdict

import numpy as np
import pytest

from pipelines.models.calibration_metrics import calibration_ratio
from pipelines.models.clumps import clumps_of
from pipelines.models.field_metrics import evaluate_fields
from pipelines.models.intervals import TAIL, Users
from pipelines.models.judged import CALIBRATION_RATIO, EXPECTED_CLICKS, Judged
from pipelines.models.metrics import evaluate
from pipelines.quality.gates import failures, gates

ROWS = 60_000
RNG = np.random.default_rng(11)
TRUTH = RNG.uniform(0.02, 0.3, ROWS)
USER = RNG.integers(0, 8000, ROWS)
CLICKED = RNG.random(ROWS) < TRUTH
DEVICES = ["mobile", "desktop", "tablet", "tv", ""]
DEVICE = RNG.choice(5, ROWS, p=[0.5, 0.3, 0.19, 0.005, 0.005])
SHOP = RNG.integers(0, 400, ROWS)
FIELDS = {"device": (DEVICE, DEVICES), "shop": (SHOP, [f"s{k}" for k in range(400)])}


def day_of(p, clicked=CLICKED):
    return Judged(
        clicked, USER, np.zeros(len(p), dtype=bool),
        {"rate": np.full(len(p), 0.16), "published": p}, "rate",
    )  # fmt: skip


def judge(p=TRUTH, fields=FIELDS, clicked=CLICKED, **changes):
    rows = evaluate_fields(
        day_of(p, clicked), "published", fields, **({"min_expected": 100} | changes)
    )
    assert len({(r.segment, r.metric) for r in rows}) == len(rows)
    return {(r.segment, r.metric): r for r in rows}


def ratios(found):
    return {segment: row for (segment, metric), row in found.items() if metric == CALIBRATION_RATIO}


def test_a_planted_ratio_is_found_in_its_value_and_in_no_other():
    planted = {"mobile": 1.0, "desktop": 1.4, "tablet": 0.7}
    factor = np.array([planted.get(name, 1.0) for name in DEVICES])[DEVICE]
    found = ratios(judge(np.clip(TRUTH * factor, 0.0, 0.99)))
    for name, ratio in planted.items():
        row = found[f"device={name}"]
        assert row.low < ratio < row.high
        assert (row.low <= 1.0 <= row.high) is (ratio == 1.0)


def test_values_of_few_expected_clicks_are_pooled_and_none_is_lost():
    found = judge()
    names = {segment for segment, _ in found}
    assert names == {
        "device=mobile",
        "device=desktop",
        "device=tablet",
        "device=other",
        "shop=other",
    }
    for field in ("device", "shop"):
        parts = [row for (segment, _), row in found.items() if segment.startswith(f"{field}=")]
        of = [row for row in parts if row.metric == EXPECTED_CLICKS]
        assert sum(row.rows for row in of) == ROWS
        assert sum(row.clicks for row in of) == CLICKED.sum()
        assert sum(row.value for row in of) == pytest.approx(TRUTH.sum())


def test_a_value_with_just_the_expected_clicks_asked_for_is_judged_by_itself():
    p, device = np.full(1000, 0.25), np.arange(1000) % 2
    fields = {"device": (device, DEVICES[:2])}
    day = Judged(device == 0, np.arange(1000), np.zeros(1000, dtype=bool), {"m": p})
    for asked, names in ((125.0, {"device=mobile", "device=desktop"}), (126.0, {"device=other"})):
        rows = evaluate_fields(day, "m", fields, min_expected=asked)
        assert {row.segment for row in rows} == names


def test_the_unknown_value_is_the_empty_name():
    assert "device=" in ratios(judge(min_expected=1))


def test_a_value_named_other_is_one_with_the_pooled_ones():
    named = {"device": (DEVICE, ["other", *DEVICES[1:]])}
    rows = ratios(judge(fields=named))
    rare = (DEVICE == 0) | (DEVICE >= 3)
    assert rows["device=other"].rows == rare.sum()


@pytest.mark.parametrize("value", range(5))
def test_a_value_is_judged_as_its_rows_alone_by_an_interval_that_holds_with_the_others(value):
    rows = ratios(judge(min_expected=1, fields={"device": FIELDS["device"]}))
    row = rows[f"device={DEVICES[value]}"]
    mask = value == DEVICE
    p, clicked = TRUTH[mask], CLICKED[mask]
    clumps = clumps_of(p, clicked, Users(USER[mask], clicked))
    expected, clicks = float(p.sum()), int(clicked.sum())
    ratio, (low, high) = calibration_ratio(expected, clicks, clumps, tail=TAIL / len(rows))
    assert (row.value, row.low, row.high) == pytest.approx((ratio, low, high), rel=1e-12)
    assert (row.rows, row.clicks) == (mask.sum(), clicked.sum())


def test_the_interval_is_wider_where_a_user_s_clicks_come_together():
    clumped = RNG.random(8000)[USER] < TRUTH
    alone = ratios(judge())["device=mobile"]
    together = ratios(judge(clicked=clumped))["device=mobile"]
    assert together.high - together.low > 1.3 * (alone.high - alone.low)


def test_a_value_without_clicks_has_a_lower_limit_and_the_clicks_it_promised():
    clicked = CLICKED & (DEVICE != 2)
    found = judge(clicked=clicked)
    row = found["device=tablet", CALIBRATION_RATIO]
    assert (row.value, row.high, row.clicks, row.reason) == (None, None, 0, "no clicks")
    assert row.low > 100
    assert found["device=tablet", EXPECTED_CLICKS].value == pytest.approx(TRUTH[DEVICE == 2].sum())


def test_no_impressions_and_impossible_probabilities_give_no_rows():
    none = Judged([], [], [], {"m": []})
    empty = {"device": (np.zeros(0, dtype=np.int64), [])}
    assert not evaluate_fields(none, "m", empty, min_expected=100)
    broken = TRUTH.copy()
    broken[3] = np.nan
    assert not evaluate_fields(day_of(broken), "published", FIELDS, min_expected=100)


@pytest.mark.parametrize(("factor", "stops"), [(1.0, False), (1.8, True), (0.6, True)])
def test_a_field_value_that_is_off_stops_publication(config, factor, stops):
    p = np.where(DEVICE == 2, TRUTH * factor, TRUTH)
    day = day_of(p)
    rows = evaluate(day) + evaluate_fields(day, "published", FIELDS, min_expected=100)
    stopped = failures(gates([asdict(row) for row in rows], 1.0, config.publish))
    assert [r.slice for r in stopped] == ["device=tablet"] * stops


def test_field_values_are_compared_with_no_baseline():
    assert {row.baseline for row in judge().values()} == {None}

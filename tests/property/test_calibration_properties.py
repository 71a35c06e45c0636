"""What holds for any calibration map, field factors, pooling and metrics."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.models.calibration import fit_calibration
from pipelines.models.calibration_map import CalibrationMap
from pipelines.models.elementary import probabilities
from pipelines.models.field_factors import FieldFactors, fit_field_factors
from pipelines.models.isotonic import pool_adjacent_violators
from pipelines.models.judged import Judged
from pipelines.models.metrics import evaluate, reliability_table
from pipelines.models.segments import cold_threshold

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@given(
    seed=SEEDS,
    rows=st.integers(1, 6000),
    slope=st.floats(-1.0, 3.0),
    intercept=st.floats(-4.0, 2.0),
    steps=st.booleans(),
)
def test_a_map_increases_strictly_inside_the_unit_interval_and_round_trips(
    seed: int, rows: int, slope: float, intercept: float, steps: bool
) -> None:
    rng = np.random.default_rng(seed)
    logit = rng.normal(-2.0, 1.5, rows)
    truth = slope * (np.floor(logit) if steps else logit) + intercept
    clicked = rng.random(rows) < probabilities(truth)
    found = fit_calibration(logit, clicked, rng.integers(0, 500, rows))
    usual = found.apply(np.linspace(-12.0, 6.0, 1801))
    assert (np.diff(found.calibrated_logit(np.linspace(-20.0, 20.0, 4001))) > 0).all()
    assert (np.diff(usual) > 0).all() or found.calibrated_logit([6.0])[0] > 25.0
    extremes = found.apply([-np.inf, -800.0, 800.0, np.inf])
    assert (extremes > 0).all()
    assert (extremes < 1).all()
    assert CalibrationMap.from_rows(found.to_rows()) == found


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, rows=st.integers(1, 400), values=st.integers(1, 50))
def test_factors_keep_probabilities_inside_and_round_trip(
    seed: int, rows: int, values: int
) -> None:
    rng = np.random.default_rng(seed)
    p = probabilities(rng.normal(0.0, 4.0, rows))
    codes = rng.integers(-1, values, rows)
    fields = {name: (codes, [f"v{k}" for k in range(values)]) for name in ("shop", "device")}
    found = fit_field_factors(p, rng.random(rows) < 0.5 * (codes > values / 2), fields)
    corrected = found.apply(p, fields)
    assert ((corrected > 0) & (corrected < 1)).all()
    assert FieldFactors.from_rows(found.to_rows()) == found


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=60))
def test_pooling_increases_strictly_and_keeps_the_totals(groups: list[tuple[int, int]]) -> None:
    sums, weights = zip(*groups, strict=True)
    pooled, pooled_weights, starts = pool_adjacent_violators(sums, weights)
    assert (np.diff(pooled / pooled_weights) > 0).all()
    assert pooled.sum() == sum(sums)
    assert pooled_weights.sum() == sum(weights)
    np.testing.assert_array_equal(np.add.reduceat(sums, starts), pooled)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_no_smaller_cold_threshold_covers_the_share(counts: list[int], share: float) -> None:
    threshold = cold_threshold(np.array(counts), share)
    assert np.mean(np.array(counts) < threshold) >= share
    assert threshold == 1 or np.mean(np.array(counts) < threshold - 1) < share


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.integers(0, 4),
            st.booleans(),
            st.sampled_from([0.0, 1.0, 0.5, 1e-300, 0.3, math.nan, math.inf, -1.0]),
            st.floats(0.0, 1.0),
        ),
        max_size=25,
    )
)
def test_any_day_can_be_judged_without_nan_or_exception(rows: list[tuple]) -> None:
    clicked, user, is_cold, odd, p = ([row[k] for row in rows] for k in range(5))
    day = Judged(clicked, user, is_cold, {"m": p, "odd": odd, "b": [0.1] * len(rows)}, "b")
    for row in evaluate(day):
        assert (row.value is None) == (row.reason is not None)
        numbers = (row.value, row.low, row.high)
        assert all(number is None or math.isfinite(number) for number in numbers)
        if row.value is not None and row.low is not None and row.high is not None:
            assert row.low <= row.value <= row.high
    for bin_row in reliability_table(day):
        assert 0.0 <= bin_row.low <= bin_row.observed <= bin_row.high <= 1.0

"""The calibration map and the field factors."""

import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from pipelines.models.calibration import fit_calibration, user_folds
from pipelines.models.calibration_map import CalibrationMap, CalibrationRow
from pipelines.models.elementary import probabilities
from pipelines.models.field_factors import FieldFactors, fit_field_factors
from pipelines.models.isotonic import pool_adjacent_violators

ROWS = 60_000
RNG = np.random.default_rng(11)
LOGIT = RNG.normal(-2.5, 1.2, ROWS)
USER = RNG.integers(-(2**63), 2**63 - 1, 10_000)[RNG.integers(0, 10_000, ROWS)]
UNIFORM = RNG.random(ROWS)


def cross_entropy(truth: np.ndarray, p: np.ndarray) -> float:
    return float(-np.mean(truth * np.log(p) + (1 - truth) * np.log1p(-p)))


def beta_truth(a: float, b: float, c: float) -> np.ndarray:
    p = probabilities(LOGIT)
    return probabilities(a * np.log(p) - b * np.log1p(-p) + c)


def fit(truth: np.ndarray, rows: slice = slice(None)) -> CalibrationMap:
    return fit_calibration(LOGIT[rows], (truth > UNIFORM)[rows], USER[rows])


def test_beta_is_recovered_and_beats_platt_on_a_beta_distorted_truth() -> None:
    truth = beta_truth(0.6, 3.0, 0.2)
    found = fit(truth)
    assert found.kind == "beta"
    assert found.parameters == pytest.approx((0.6, 3.0, 0.2), abs=0.35)
    platt = LogisticRegression(C=np.inf).fit(LOGIT[:, None], truth > UNIFORM)
    best = cross_entropy(truth, truth)
    lost = cross_entropy(truth, found.apply(LOGIT)) - best
    assert lost < 0.2 * (cross_entropy(truth, platt.predict_proba(LOGIT[:, None])[:, 1]) - best)


def test_isotonic_wins_where_no_parametric_map_fits() -> None:
    truth = np.select([LOGIT < -3, LOGIT < -1.5], [0.02, 0.10], 0.5) + 0.001 * LOGIT
    found = fit(truth)
    assert found.kind == "isotonic"
    assert found.candidates["isotonic"] < found.candidates["beta"] - 0.001


def test_platt_agrees_with_scikit_learn() -> None:
    clicked = beta_truth(0.7, 0.7, 0.3)[:2500] > UNIFORM[:2500]
    few = np.concatenate([np.flatnonzero(clicked)[:290], np.flatnonzero(~clicked)])
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(LOGIT[few, None], clicked[few])
    found = fit_calibration(LOGIT[few], clicked[few], USER[few])
    assert found.kind == "platt"
    assert found.parameters == pytest.approx(
        (oracle.coef_[0, 0], oracle.coef_[0, 0], oracle.intercept_[0]), abs=1e-3
    )


@pytest.mark.parametrize(
    ("clicks", "kinds"),
    [
        (0, {"shift"}),
        (99, {"shift"}),
        (100, {"shift", "platt"}),
        (300, {"shift", "platt", "beta"}),
        (1000, {"shift", "platt", "beta", "isotonic"}),
    ],
)
def test_the_click_count_decides_which_maps_are_tried(clicks: int, kinds: set[str]) -> None:
    clicked = beta_truth(1.0, 1.0, 0.0) > UNIFORM
    rows = np.concatenate([np.flatnonzero(clicked)[:clicks], np.flatnonzero(~clicked)[:5000]])
    found = fit_calibration(LOGIT[rows], clicked[rows], USER[rows])
    assert set(found.candidates) == kinds
    assert (found.rows, found.clicks) == (clicks + 5000, clicks)


def test_without_clicks_or_rows_the_map_is_the_identity() -> None:
    for rows in (0, 500):
        found = fit_calibration(LOGIT[:rows], np.zeros(rows), USER[:rows])
        np.testing.assert_allclose(found.apply(LOGIT), probabilities(LOGIT), rtol=1e-12)


@pytest.mark.parametrize("parameters", [(0.6, 3.0, 0.2), (1.3, 1.3, -0.4), (1.0, 1.0, 0.5)])
def test_calibrated_probabilities_sum_to_the_clicks(parameters: tuple[float, ...]) -> None:
    truth = beta_truth(*parameters)
    ratio = fit(truth).apply(LOGIT).sum() / np.count_nonzero(truth > UNIFORM)
    assert ratio == pytest.approx(1.0, abs=0.01)


def test_the_map_does_not_depend_on_the_order_of_the_rows() -> None:
    clicked = beta_truth(0.8, 1.5, 0.1) > UNIFORM
    order = np.random.default_rng(1).permutation(ROWS)
    found = fit_calibration(LOGIT, clicked, USER)
    again = fit_calibration(LOGIT[order], clicked[order], USER[order])
    assert again == found
    assert again.candidates == found.candidates


def test_a_score_can_be_recomputed_by_hand_from_the_rows() -> None:
    rows = {row.name: row.y for row in CalibrationMap("beta", (0.7, 1.4, -0.2)).to_rows()}
    p = 1 / (1 + math.exp(1.8))
    logit = rows["beta.a"] * math.log(p) - rows["beta.b"] * math.log(1 - p) + rows["beta.c"]
    found = CalibrationMap.from_rows(CalibrationMap("beta", (0.7, 1.4, -0.2)).to_rows())
    assert found.apply([-1.8])[0] == pytest.approx(1 / (1 + math.exp(-logit)), rel=1e-13)


def test_isotonic_is_linear_between_knots_with_slope_one_outside() -> None:
    curve = CalibrationMap("isotonic", knots=((-4.0, -5.0), (-2.0, -1.0)))
    np.testing.assert_allclose(
        curve.calibrated_logit([-6.0, -4.0, -3.0, -2.0, 1.0]), [-7.0, -5.0, -3.0, -1.0, 2.0]
    )
    assert CalibrationMap.from_rows(curve.to_rows()[::-1]) == curve


def test_logits_beyond_the_limit_are_clipped_and_counted() -> None:
    logit = np.concatenate([LOGIT[:1000], [np.inf, -np.inf, 25.0]])
    found = fit_calibration(logit, np.arange(1003) % 5 == 0, np.arange(1003))
    assert found.clipped == 3
    assert ((found.apply(logit) > 0) & (found.apply(logit) < 1)).all()
    with pytest.raises(ValueError, match="not a number"):
        found.apply([np.nan])
    with pytest.raises(ValueError, match="not a number"):
        fit_calibration([np.nan], [1], [1])


def test_however_steep_a_map_is_its_probabilities_lie_inside_0_and_1() -> None:
    for parameters in ((90.0, 90.0, 0.0), (1.0, 1.0, 50.0), (1.0, 1.0, -800.0)):
        found = CalibrationMap("beta", parameters).apply([-np.inf, -20.0, 0.0, 20.0, np.inf])
        assert ((found > 0.0) & (found < 1.0)).all()


def test_folds_keep_a_user_together_and_are_of_about_equal_size() -> None:
    folds = user_folds(np.arange(-5000, 5000), 5)
    np.testing.assert_array_equal(folds, user_folds(np.arange(-5000, 5000), 5))
    assert np.abs(np.bincount(folds) / 2000 - 1).max() < 0.1


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [CalibrationRow("map", "beta.a", None, 0.0, 1.0)],
        [CalibrationRow("map", "isotonic.knot", None, 0.0, y) for y in (1.0, 2.0)],
        [CalibrationRow("map", "spline.knot", None, 0.0, 1.0)],
    ],
)
def test_rows_that_are_not_one_map_are_refused(rows: list[CalibrationRow]) -> None:
    with pytest.raises(ValueError, match="map"):
        CalibrationMap.from_rows(rows)


def test_equal_neighbours_are_pooled_so_that_the_means_rise_strictly() -> None:
    sums, weights, starts = pool_adjacent_violators([1, 2, 1, 3], [2, 4, 2, 4])
    assert (sums.tolist(), weights.tolist(), starts.tolist()) == ([4.0, 3.0], [8.0, 4.0], [0, 3])


def test_pooling_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    weights = rng.integers(1, 50, 300)
    sums = rng.binomial(weights, np.linspace(0.1, 0.6, 300))
    pooled, pooled_weights, starts = pool_adjacent_violators(sums, weights)
    lengths = np.diff([*starts, 300])
    oracle = (
        IsotonicRegression().fit(np.arange(300), sums / weights, weights).predict(np.arange(300))
    )
    np.testing.assert_allclose(np.repeat(pooled / pooled_weights, lengths), oracle, atol=1e-12)


def test_a_field_corrects_only_what_the_fields_before_it_have_left() -> None:
    p, codes = np.full(40_000, 0.1), np.arange(40_000) % 2
    clicked = np.arange(40_000) // 2 < np.where(codes, 4_000, 1_000)
    fields = {"first": field(codes, 2), "second": field(codes, 2)}
    found = fit_field_factors(p, clicked, fields)
    assert found.factors["first"] == pytest.approx({"v0": 0.5, "v1": 2.0}, rel=0.01)
    corrected = found.apply(p, fields)
    assert np.bincount(codes, corrected) == pytest.approx([1_000, 4_000], rel=0.01)


def field(codes: np.ndarray, values: int) -> tuple[np.ndarray, list[str]]:
    return codes, [f"v{k}" for k in range(values)]


def planted(deviation: float, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, dict]:
    """Probabilities that miss one factor per value in each of three fields."""
    rng = np.random.default_rng(seed)
    p = probabilities(rng.normal(-3.5, 0.8, rows))
    truth, fields = p.copy(), {}
    for name, values in (("surface", 2), ("category", 30), ("shop", 1000)):
        codes = (values * rng.random(rows) ** 2).astype(np.int64)
        fields[name] = field(codes, values)
        truth *= np.exp(rng.normal(0, deviation, values))[codes]
    return p, np.minimum(truth, 0.9), fields


@pytest.mark.parametrize("rows", [1500, 10_000])
def test_factors_do_not_hurt_where_the_fields_have_no_effect(rows: int) -> None:
    cost, clicks = 0.0, 0.0
    for seed in range(10):
        p, truth, fields = planted(0.0, rows, seed)
        clicked = np.random.default_rng(100 + seed).random(rows) < truth
        corrected = fit_field_factors(p, clicked, fields).apply(p, fields)
        cost += rows * (cross_entropy(truth, corrected) - cross_entropy(truth, p))
        clicks += truth.sum()
    assert cost / clicks < 0.001


def test_factors_win_most_of_what_planted_field_effects_cost() -> None:
    p, truth, fields = planted(0.4, 60_000, 1)
    p *= truth.sum() / p.sum()
    clicked = np.random.default_rng(5).random(len(p)) < truth
    corrected = fit_field_factors(p, clicked, fields).apply(p, fields)
    best = cross_entropy(truth, truth)
    assert cross_entropy(truth, corrected) - best < 0.4 * (cross_entropy(truth, p) - best)


def test_a_factor_is_the_shrunk_ratio_of_its_value() -> None:
    codes = np.repeat([0, 1], 5000)
    clicked = np.concatenate([np.arange(5000) % 10 == 0, np.arange(5000) % 40 == 0])
    fields = {"device": field(codes, 3)}
    found = fit_field_factors(np.full(10_000, 0.05), clicked, fields)
    a = found.strength["device"]
    assert found.factors["device"] == pytest.approx(
        {"v0": (500 + a) / (250 + a), "v1": (125 + a) / (250 + a)}, rel=1e-6
    )
    assert found.expected["device"] == pytest.approx({"v0": 250, "v1": 250}, rel=1e-6)


def test_unseen_and_missing_values_have_factor_one() -> None:
    found = FieldFactors({"device": {"v0": 2.0}}, {"device": {"v0": 9.0}})
    fields = {"device": (np.array([0, 1, -1]), ["v0", "v1"]), "shop": field(np.zeros(3, int), 1)}
    np.testing.assert_allclose(found.apply([0.1, 0.1, 0.1], fields), [0.2, 0.1, 0.1])


def test_a_factor_cannot_push_a_probability_out_of_the_unit_interval() -> None:
    found = FieldFactors({"device": {"v0": 50.0}}, {"device": {"v0": 1.0}})
    p = np.array([1e-6, 0.1, 0.9, 1 - 1e-9])
    corrected = found.apply(p, {"device": field(np.zeros(4, int), 1)})
    assert (np.diff(corrected) > 0).all()
    assert ((corrected > 0) & (corrected < 1)).all()


def test_factors_round_trip_exactly_and_do_not_depend_on_the_order_of_the_rows() -> None:
    p, truth, fields = planted(0.4, 20_000, 3)
    clicked = np.random.default_rng(6).random(len(p)) < truth
    found = fit_field_factors(p, clicked, fields)
    order = np.random.default_rng(7).permutation(len(p))
    shuffled = {name: (codes[order], labels) for name, (codes, labels) in fields.items()}
    assert FieldFactors.from_rows(found.to_rows()) == found
    assert fit_field_factors(p[order], clicked[order], shuffled) == found


def test_curve_and_factors_share_a_table() -> None:
    curve = CalibrationMap("beta", (0.7, 1.4, -0.2))
    factors = FieldFactors({"device": {"v0": 2.0}}, {"device": {"v0": 9.0}})
    rows = [*factors.to_rows(), *curve.to_rows()]
    assert CalibrationMap.from_rows(rows) == curve
    assert FieldFactors.from_rows(rows) == factors


def test_wrong_fields_are_refused() -> None:
    found = FieldFactors({"device": {"v0": 2.0}}, {"device": {"v0": 9.0}})
    with pytest.raises(ValueError, match="was not given"):
        found.apply([0.1], {})
    with pytest.raises(ValueError, match="outside -1"):
        found.apply([0.1], {"device": (np.array([4]), ["v0"])})
    with pytest.raises(ValueError, match="inside"):
        fit_field_factors([0.0], [0], {})

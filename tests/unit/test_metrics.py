"""Judging a day: values, intervals, differences and degenerate inputs."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from pipelines.models.auc import auc
from pipelines.models.calibration_metrics import calibration_ratio
from pipelines.models.clumps import clumps_of
from pipelines.models.elementary import probabilities
from pipelines.models.intervals import Interval, Users, count_interval, of_unseen_click
from pipelines.models.judged import Judged, MetricRow
from pipelines.models.metrics import METRICS, evaluate, reliability_table
from pipelines.models.ranks import Ranks, dense_ranks

ROWS = 30_000
RNG = np.random.default_rng(4)
LOGIT = RNG.normal(-2.5, 1.0, ROWS)
CLICKED = RNG.random(ROWS) < probabilities(LOGIT)
USER = RNG.integers(0, 6000, ROWS)
IS_COLD = RNG.random(ROWS) < 0.05
TRUTH = probabilities(LOGIT)


def judge(p: np.ndarray, segment: str = "mixed", **others: np.ndarray) -> dict[str, MetricRow]:
    day = Judged(CLICKED, USER, IS_COLD, {"m": p, **others}, next(iter(others), None))
    return {r.metric: r for r in evaluate(day) if (r.model, r.segment) == ("m", segment)}


def test_values_agree_with_scikit_learn_also_with_ties() -> None:
    p = np.round(TRUTH, 2) + 0.001
    found = judge(p)
    assert found["auc"].value == pytest.approx(roc_auc_score(CLICKED, p), abs=1e-12)
    assert found["log_loss"].value == pytest.approx(log_loss(CLICKED, p), abs=1e-12)
    assert found["brier"].value == pytest.approx(brier_score_loss(CLICKED, p), abs=1e-12)


def test_segments_are_judged_on_their_own_rows() -> None:
    for segment, mask in (("cold", IS_COLD), ("warm", ~IS_COLD)):
        row = judge(TRUTH, segment)["auc"]
        assert row.value == pytest.approx(roc_auc_score(CLICKED[mask], TRUTH[mask]), abs=1e-12)
        assert (row.rows, row.clicks) == (mask.sum(), CLICKED[mask].sum())


def test_normalized_entropy_is_one_for_the_rows_own_click_rate() -> None:
    found = judge(np.full(ROWS, CLICKED.mean()))
    assert found["normalized_entropy"].value == pytest.approx(1.0, abs=1e-12)
    assert found["miscalibration"].value == pytest.approx(0.0, abs=1e-12)
    assert found["discrimination"].value == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("segment", "rate"), [("cold", 0.04), ("warm", 0.12)])
def test_normalized_entropy_of_a_segment_is_one_for_the_segment_s_own_click_rate(
    segment: str, rate: float
) -> None:
    clicked = np.random.default_rng(2).random(ROWS) < np.where(IS_COLD, 0.04, 0.12)
    own = np.where(IS_COLD, clicked[IS_COLD].mean(), clicked[~IS_COLD].mean())
    found = rows_of(Judged(clicked, USER, IS_COLD, {"m": own}), segment)
    assert found["normalized_entropy"].clicks / found["normalized_entropy"].rows == pytest.approx(
        rate, rel=0.2
    )
    assert found["normalized_entropy"].value == pytest.approx(1.0, abs=1e-12)


def test_normalized_entropy_splits_into_miscalibration_and_discrimination() -> None:
    good, shifted = judge(TRUTH), judge(probabilities(LOGIT + 1.0))
    for found in (good, shifted):
        split = 1 + found["miscalibration"].value - found["discrimination"].value
        assert found["normalized_entropy"].value == pytest.approx(split, abs=1e-12)
    assert shifted["discrimination"].value == pytest.approx(good["discrimination"].value)
    assert shifted["miscalibration"].value > good["miscalibration"].value + 0.1


def test_calibration_ratio_above_one_promises_too_many_clicks() -> None:
    halved, whole = judge(TRUTH / 2)["calibration_ratio"], judge(TRUTH)["calibration_ratio"]
    assert whole.low < 1.0 < whole.high
    assert halved.high < 1.0
    assert whole.value == pytest.approx(2.0 * halved.value)
    assert whole.value == pytest.approx(TRUTH.sum() / CLICKED.sum())


def test_planted_slope_and_intercept_are_recovered() -> None:
    found = judge(probabilities((LOGIT - 0.6) / 0.5))
    for metric, planted in (("calibration_slope", 0.5), ("calibration_intercept", 0.6)):
        assert found[metric].low < planted < found[metric].high
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit((LOGIT[:, None] - 0.6) / 0.5, CLICKED)
    assert found["calibration_slope"].value == pytest.approx(oracle.coef_[0, 0], abs=1e-6)
    assert found["calibration_intercept"].value == pytest.approx(oracle.intercept_[0], abs=1e-6)


def test_calibration_error_is_near_zero_only_for_calibrated_probabilities() -> None:
    assert judge(TRUTH)["calibration_error"].value < 4.0
    assert judge(0.7 * TRUTH)["calibration_error"].value == pytest.approx(30.0, abs=5.0)


def test_reliability_bins_hold_all_rows_and_mostly_the_expected_rate() -> None:
    day = Judged(CLICKED, USER, IS_COLD, {"m": TRUTH})
    bins = [row for row in reliability_table(day) if row.segment == "mixed"]
    assert sum(row.rows for row in bins) == ROWS
    assert [row.bin for row in bins] == list(range(20))
    assert [row.expected for row in bins] == sorted(row.expected for row in bins)
    assert sum(row.low <= row.expected <= row.high for row in bins) >= 17


def test_a_difference_is_paired_on_the_same_rows() -> None:
    noisy = probabilities(LOGIT + np.random.default_rng(9).normal(0.0, 0.3, ROWS))
    found = judge(TRUTH, baseline=noisy)
    alone = judge(noisy)
    for metric in ("auc", "log_loss", "normalized_entropy"):
        row, difference = found[metric], found[f"{metric}_difference"]
        assert difference.baseline == "baseline"
        assert difference.value == pytest.approx(row.value - alone[metric].value, abs=1e-12)
        assert difference.high - difference.low < 0.5 * (row.high - row.low)
    assert found["auc_difference"].low > 0.0 > found["log_loss_difference"].high


def test_every_model_but_the_baseline_has_its_differences_in_every_segment() -> None:
    models = ("historical", "content", "ensemble")
    probabilities_of = {**dict.fromkeys(models, TRUTH), "rate": np.full(ROWS, 0.1)}
    rows = evaluate(Judged(CLICKED, USER, IS_COLD, probabilities_of, "rate"))
    compared = [(r.model, r.segment, r.metric) for r in rows if r.baseline == "rate"]
    metrics = ("auc_difference", "log_loss_difference", "normalized_entropy_difference")
    expected = itertools.product(models, ("mixed", "cold", "warm"), metrics)
    assert sorted(compared) == sorted(expected)


def simulate(users: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Clicks and scores that both depend on the user: rows of a user are far from independent."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), 15)
    taste, habit = rng.normal(0, 1.0, users)[user], rng.normal(0, 1.0, users)[user]
    row = rng.normal(0, 0.5, len(user))
    clicked = rng.random(len(user)) < probabilities(-2.5 + habit + 0.5 * taste + row)
    return taste + row, clicked, user


def coverage(truth: float, interval: Callable[[int], Interval], runs: int = 200) -> float:
    intervals = [interval(seed) for seed in range(runs)]
    return float(np.mean([low <= truth <= high for low, high in intervals]))


def test_the_interval_of_the_auc_covers_where_users_click_in_clumps() -> None:
    score, clicked, _ = simulate(40_000, 999)
    truth = roc_auc_score(clicked, score)

    def interval(seed: int, clustered: bool) -> Interval:
        score, clicked, user = simulate(150, seed)
        value, influence = auc(Ranks.of(dense_ranks(score), clicked), clicked)
        users = Users(user if clustered else np.arange(len(user)), clicked)
        return users.share_interval(value, influence)

    assert 0.91 <= coverage(truth, lambda seed: interval(seed, True)) <= 0.99
    assert coverage(truth, lambda seed: interval(seed, False)) < 0.85


def test_the_interval_of_the_calibration_ratio_covers_where_users_click_in_clumps() -> None:
    expected = simulate(40_000, 999)[1].mean()

    def interval(seed: int) -> Interval:
        _, clicked, user = simulate(150, seed)
        p = np.full(len(clicked), expected)
        clumps = clumps_of(p, clicked, Users(user, clicked))
        return calibration_ratio(float(p.sum()), int(clicked.sum()), clumps)[1]

    assert 0.91 <= coverage(1.0, interval) <= 0.99


def test_the_fewer_users_click_the_wider_is_an_interval() -> None:
    influence = np.array([0.1, -0.1, 0.1, -0.1])
    clicked = np.array([True, True, True, False])
    low, high = Users(np.arange(4), clicked).interval(1.0, influence)
    # Student's t of two degrees of freedom, for three users who clicked.
    half = 4.302653 * math.sqrt(4 * 0.01 * 4 / 3)
    assert (low, high) == pytest.approx((1.0 - half, 1.0 + half), abs=1e-6)


def test_the_influence_of_a_row_on_the_auc_is_what_it_loses_without_it() -> None:
    p, clicked = TRUTH[:400].round(2), CLICKED[:400]
    value, influence = auc(Ranks.of(dense_ranks(p), clicked), clicked)
    for row in (*np.flatnonzero(clicked)[:5], *np.flatnonzero(~clicked)[:5]):
        rest = np.arange(400) != row
        without = roc_auc_score(clicked[rest], p[rest])
        alike = np.count_nonzero(clicked == clicked[row])
        assert (value - without) * (alike - 1) / alike == pytest.approx(influence[row], abs=1e-12)


def test_the_interval_of_a_count_is_garwoods() -> None:
    assert count_interval(0, 1.0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert count_interval(10, 1.0) == pytest.approx((4.795, 18.390), abs=1e-3)
    low, high = count_interval(100, 4.0)
    assert (low, high) == pytest.approx(tuple(4 * x for x in count_interval(25, 1.0)))


INFLUENCE = np.array([0.5, 0.25, -0.5, -0.25, 0.0, 0.0])


@pytest.mark.parametrize(
    ("unseen", "freedom", "allowed"),
    [(None, 1, 0.0), (0.125, 3, 0.75**2), (0.5, 3, 2 * 0.5)],
    ids=["of what was seen", "and a user more like the largest", "and two clicks more"],
)
def test_an_interval_is_student_s_by_the_users_who_clicked_and_allows_for_what_was_not_seen(
    unseen: float | None, freedom: int, allowed: float
) -> None:
    """Four users of whom two clicked, with influences .75, -.5, -.25 and 0."""
    users = Users(np.array([1, 1, 2, 3, 4, 4]), np.array([True, False, True] + 3 * [False]))
    variance = 4 / 3 * (0.75**2 + 0.5**2 + 0.25**2) + allowed
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    assert users.interval(1.0, INFLUENCE, unseen) == pytest.approx((1.0 - half, 1.0 + half))


def test_a_click_that_did_not_come_is_where_it_matters_most_of_what_is_thought_possible() -> None:
    of_click = np.array([1.0, -3.0])
    opinions = (np.array([0.3, 0.1]), np.array([0.1, 0.1]))
    assert of_unseen_click(of_click, opinions) == pytest.approx((1.0 + 9.0) / 2)
    assert of_unseen_click(of_click, opinions[:1]) == pytest.approx(0.75 + 0.25 * 9.0)


def test_the_mean_of_a_count_may_be_a_clump_more_than_chance_of_single_clicks_allows() -> None:
    singly, together = count_interval(60, 2.0, 2.0), count_interval(60, 2.0, 12.0)
    assert singly[0] == together[0]
    assert together[1] > singly[1] + 5


def rows_of(day: Judged, segment: str) -> dict[str, MetricRow]:
    return {r.metric: r for r in evaluate(day) if (r.model, r.segment) == ("m", segment)}


DEGENERATE = {
    "no clicks": Judged([0, 0, 0], [1, 2, 3], [1, 0, 0], {"m": [0.1] * 3, "b": [0.2] * 3}, "b"),
    "clicks only": Judged([1, 1, 1], [1, 2, 3], [1, 0, 0], {"m": [0.1] * 3, "b": [0.2] * 3}, "b"),
    "no impressions": Judged([], [], [], {"m": [], "b": []}, "b"),
}


@pytest.mark.parametrize("reason", DEGENERATE)
def test_what_is_undefined_has_no_value_and_a_reason(reason: str) -> None:
    for segment in ("mixed", "cold", "warm"):
        found = rows_of(DEGENERATE[reason], segment)
        assert len(found) == len(METRICS) + 3
        for metric in ("auc", "normalized_entropy", "calibration_slope", "auc_difference"):
            assert (found[metric].value, found[metric].reason) == (None, reason)
        for row in found.values():
            assert (row.value is None) == (row.reason is not None)
            assert row.value is None or math.isfinite(row.value)


def test_an_empty_cold_segment_does_not_disturb_the_others() -> None:
    day = Judged(CLICKED, USER, np.zeros(ROWS, dtype=bool), {"m": TRUTH})
    assert rows_of(day, "cold")["auc"].reason == "no impressions"
    assert rows_of(day, "warm")["auc"].value == rows_of(day, "mixed")["auc"].value


def test_a_model_with_impossible_probabilities_has_reasons_and_spares_the_others() -> None:
    broken = TRUTH.copy()
    broken[:2] = np.nan, 1.5
    found = evaluate(Judged(CLICKED, USER, IS_COLD, {"m": TRUTH, "broken": broken}, "m"))
    assert all("2 probabilities" in r.reason for r in found if r.model == "broken")
    assert all(r.value is not None for r in found if r.model == "m")


def test_probabilities_of_zero_and_one_are_clipped_and_counted() -> None:
    p = TRUTH.copy()
    p[:3] = 0.0
    p[3] = 1.0
    found = judge(p)
    assert found["clipped"].value == 4.0
    assert found["log_loss"].value == pytest.approx(
        log_loss(CLICKED, np.clip(p, 1 / (1 + math.exp(20)), 1 / (1 + math.exp(-20))))
    )


def test_one_user_who_clicks_gives_no_interval() -> None:
    day = Judged([1, 0, 1, 0], [7, 7, 7, 8], [0] * 4, {"m": [0.4, 0.1, 0.2, 0.3]})
    row = rows_of(day, "mixed")["auc"]
    assert (row.value, row.low, row.high, row.reason) == (0.75, None, None, None)


def test_arrays_of_different_lengths_and_an_unknown_baseline_are_refused() -> None:
    with pytest.raises(ValueError, match="m has shape"):
        Judged(CLICKED, USER, IS_COLD, {"m": TRUTH[:-1]})
    with pytest.raises(ValueError, match="baseline"):
        Judged(CLICKED, USER, IS_COLD, {"m": TRUTH}, "other")

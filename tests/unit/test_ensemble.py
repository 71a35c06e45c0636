"""The ensemble, its solver and the segments."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression

from pipelines.models.elementary import probabilities
from pipelines.models.ensemble import (
    CONSTANTS,
    Ensemble,
    EnsembleInputs,
    EnsembleRow,
)
from pipelines.models.ensemble_fit import fit_ensemble
from pipelines.models.logistic import FitError, fit_logistic
from pipelines.models.segments import cold_threshold


def make_world(
    rows: int, *, rate: float = -2.0, seed: int = 0
) -> tuple[EnsembleInputs, np.ndarray]:
    """Traffic in which history is right for warm listings and content for cold ones."""
    rng = np.random.default_rng(seed)
    historical, content = rng.normal(-2.0, 0.8, (2, rows))
    contexts = rng.normal(0.0, 0.5, (2, rows))
    is_cold = (rng.random(rows) < 0.3).astype(float)
    evidence = np.where(is_cold, rng.uniform(0, 1, rows), rng.uniform(3, 7, rows))
    inputs = EnsembleInputs(
        historical_listing=historical,
        content_listing=content,
        is_cold=is_cold,
        log1p_impressions=evidence,
        log1p_shop_impressions=evidence + rng.exponential(1.0, rows),
        log1p_age_days=rng.uniform(0, 6, rows),
        historical_context=contexts[0],
        content_context=contexts[1],
    )
    truth = np.where(is_cold, content, historical) + 0.7 * contexts[0] + 0.3 * contexts[1]
    return inputs, rng.random(rows) < probabilities(truth)


def take(inputs: EnsembleInputs, rows: np.ndarray) -> EnsembleInputs:
    names = (field.name for field in dataclasses.fields(inputs))
    return EnsembleInputs(**{name: getattr(inputs, name)[rows] for name in names})


WORLD = make_world(20_000)


def test_full_form_agrees_with_scikit_learn_on_standardised_terms() -> None:
    inputs, clicked = WORLD
    ensemble = fit_ensemble(inputs, clicked, l2=3.0)
    names = [name for name in ensemble.weights if name not in CONSTANTS]
    terms = np.stack([inputs.term(name) for name in names], axis=1)
    centre, scale = terms.mean(axis=0), terms.std(axis=0, ddof=1)
    oracle = LogisticRegression(C=1 / 3.0, solver="newton-cholesky", tol=1e-12, max_iter=100)
    oracle.fit((terms - centre) / scale, clicked)
    assert ensemble.form == "full"
    assert len(names) == 10
    np.testing.assert_allclose(
        [ensemble.weights[name] for name in names], oracle.coef_[0] / scale, atol=1e-6
    )
    np.testing.assert_allclose(
        ensemble.fitted_logit(inputs), oracle.decision_function((terms - centre) / scale), atol=1e-6
    )


def test_trust_moves_from_content_to_history_as_evidence_grows() -> None:
    inputs, clicked = WORLD
    ensemble = fit_ensemble(inputs, clicked)

    def slope(part: str, is_cold: float, evidence: float) -> float:
        at = {"is_cold": [is_cold], "log1p_impressions": [evidence], "log1p_age_days": [3.0]}
        at |= {"log1p_shop_impressions": [evidence], "historical_listing": [0.0]}
        at |= {"content_listing": [0.0]}
        low = ensemble.listing_logit(EnsembleInputs(**at))
        return float((ensemble.listing_logit(EnsembleInputs(**at | {part: [1.0]})) - low)[0])

    assert slope("historical_listing", 0.0, 5.0) > 0.8 > 0.2 > slope("historical_listing", 1.0, 0.5)
    assert slope("content_listing", 1.0, 0.5) > 0.8 > 0.2 > slope("content_listing", 0.0, 5.0)


@pytest.mark.parametrize(
    ("clicks", "form", "weights"),
    [
        (300, "full", 12),
        (299, "few_terms", 10),
        (99, "two_slopes", 6),
        (29, "intercept_shift", 5),
        (0, "half_and_half", 5),
    ],
)
def test_fewer_clicks_fit_fewer_terms_in_the_stated_order(
    clicks: int, form: str, weights: int
) -> None:
    inputs, clicked = WORLD
    rows = np.concatenate([np.flatnonzero(clicked)[:clicks], np.flatnonzero(~clicked)[:3000]])
    ensemble = fit_ensemble(take(inputs, rows), clicked[rows])
    assert (ensemble.form, len(ensemble.weights)) == (form, weights)
    assert (ensemble.reason is None) == (form == "full")
    assert (ensemble.rows, ensemble.clicks) == (clicks + 3000, clicks)


@pytest.mark.parametrize("clicks", [1, 29])
def test_a_shift_is_held_as_by_ten_clicks_of_belief_in_none(clicks: int) -> None:
    inputs, clicked = WORLD
    rows = np.concatenate([np.flatnonzero(clicked)[:clicks], np.flatnonzero(~clicked)[:3000]])
    own = take(inputs, rows)
    ensemble = fit_ensemble(own, clicked[rows])
    assert ensemble.form == "intercept_shift"
    # Where the penalised log loss is least, its slope is 0.
    promised = probabilities(ensemble.logit(own)).sum()
    assert promised + 10.0 * ensemble.weights["intercept"] == pytest.approx(clicks, abs=1e-6)


@pytest.mark.parametrize("rows", [np.array([], dtype=int), np.flatnonzero(WORLD[1])[:5]])
def test_without_rows_or_with_one_class_the_two_logits_are_averaged(rows: np.ndarray) -> None:
    inputs = take(WORLD[0], rows)
    ensemble = fit_ensemble(inputs, WORLD[1][rows])
    halves = (inputs.historical_listing + inputs.historical_context) / 2
    halves += (inputs.content_listing + inputs.content_context) / 2
    np.testing.assert_allclose(ensemble.logit(inputs), halves)


def test_a_score_can_be_recomputed_by_hand_from_the_rows() -> None:
    inputs, clicked = WORLD
    rows = fit_ensemble(inputs, clicked).to_rows()
    by_hand = sum(
        row.weight * (1.0 if row.term in CONSTANTS else inputs.term(row.term)[7]) for row in rows
    )
    assert fit_ensemble(inputs, clicked).logit(inputs)[7] == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("over", [-0.5, -0.01, 0.01, 0.5])
def test_a_small_miss_of_the_models_is_left_to_chance_and_a_large_one_mended(over: float) -> None:
    inputs, clicked = WORLD
    clicks = int(clicked.sum())
    # Both models promise exp(over) times the clicks that came.
    moved = inputs
    for model in ("historical", "content"):
        name = f"{model}_listing"
        whole = getattr(inputs, name) + getattr(inputs, f"{model}_context")

        def missing(shift: float, whole: np.ndarray = whole) -> float:
            return float(probabilities(whole + shift).sum() - clicks * np.exp(over))

        shift = brentq(missing, -3.0, 3.0, xtol=1e-13)
        moved = dataclasses.replace(moved, **{name: getattr(inputs, name) + shift})
    ensemble = fit_ensemble(moved, clicked)
    assert probabilities(ensemble.fitted_logit(moved)).sum() == pytest.approx(clicks, rel=1e-9)
    noise = 1 / clicks + 0.02**2
    assert ensemble.level == pytest.approx(min(over, noise / over, key=abs), rel=1e-6)
    np.testing.assert_allclose(
        ensemble.logit(moved), ensemble.fitted_logit(moved) + ensemble.level, atol=1e-12
    )


def test_context_adds_the_same_to_every_listing() -> None:
    inputs, clicked = WORLD
    ensemble = fit_ensemble(inputs, clicked)
    moved = dataclasses.replace(inputs, historical_context=inputs.historical_context + 1.0)
    gain = ensemble.logit(moved) - ensemble.logit(inputs)
    np.testing.assert_allclose(gain, ensemble.context_logit(1.0, 0.0), atol=1e-12)
    without = dataclasses.replace(inputs, historical_context=None, content_context=None)
    np.testing.assert_array_equal(ensemble.listing_logit(without), ensemble.listing_logit(inputs))


def test_rows_round_trip_exactly_in_any_order() -> None:
    ensemble = fit_ensemble(*WORLD, cold_threshold=12)
    assert Ensemble.from_rows(ensemble.to_rows()[::-1]) == ensemble


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [EnsembleRow("content_listing", 1.0, "full", None, 1, 1)],
        [EnsembleRow("intercept", 1.0, "full", None, 1, 1)] * 2,
        [EnsembleRow(t, 1.0, "full", None, 1, 1) for t in ("intercept", "weather")],
    ],
)
def test_rows_that_are_not_one_ensemble_are_refused(rows: list[EnsembleRow]) -> None:
    with pytest.raises(ValueError, match="not the rows of one ensemble"):
        Ensemble.from_rows(rows)


def test_a_term_without_variation_gets_no_weight() -> None:
    inputs, clicked = WORLD
    warm = take(inputs, np.flatnonzero(inputs.is_cold == 0.0))
    ensemble = fit_ensemble(warm, clicked[inputs.is_cold == 0.0])
    assert ensemble.weights["is_cold"] == 0.0


def test_the_same_inputs_give_the_same_bits() -> None:
    assert fit_ensemble(*WORLD) == fit_ensemble(*make_world(20_000))


def test_inputs_that_are_not_finite_or_of_another_shape_are_refused() -> None:
    inputs, clicked = WORLD
    with pytest.raises(ValueError, match="log1p_age_days holds a value that is not finite"):
        dataclasses.replace(inputs, log1p_age_days=np.full(inputs.rows, np.nan))
    with pytest.raises(ValueError, match="is_cold has shape"):
        dataclasses.replace(inputs, is_cold=np.zeros(3))
    with pytest.raises(ValueError, match="clicked has shape"):
        fit_ensemble(inputs, clicked[:-1])
    with pytest.raises(ValueError, match="historical_context is needed"):
        fit_ensemble(dataclasses.replace(inputs, historical_context=None), clicked)


def test_the_solver_names_what_the_data_leave_open() -> None:
    x = np.linspace(-1, 1, 50)
    with pytest.raises(FitError, match="one class is empty"):
        fit_logistic(x[:, None], np.zeros(50))
    with pytest.raises(FitError, match="no rows"):
        fit_logistic(np.empty((0, 1)), np.empty(0))
    with pytest.raises(FitError, match="l2 > 0"):
        fit_logistic(x[:, None], x > 0)
    with pytest.raises(FitError, match="l2 > 0"):
        fit_logistic(np.stack([x, 2 * x], axis=1), np.arange(50) % 2)


def test_counts_and_an_offset_equal_the_rows_they_stand_for() -> None:
    rng = np.random.default_rng(3)
    x, trials = rng.normal(size=40), rng.integers(1, 30, 40)
    clicks = rng.binomial(trials, 0.3)
    counted = fit_logistic(x[:, None], clicks, trials=trials, offset=0.5 * x)
    rows = np.repeat(x, trials)
    labels = np.concatenate([np.arange(n) < c for n, c in zip(trials, clicks, strict=True)])
    single = fit_logistic(rows[:, None], labels.astype(float))
    assert counted.weights[0] + 0.5 == pytest.approx(single.weights[0], abs=1e-9)
    assert counted.intercept == pytest.approx(single.intercept, abs=1e-9)


def test_cold_threshold_is_the_smallest_that_covers_the_share() -> None:
    counts = np.array([0] * 4 + [1] * 3 + [50] * 93)
    assert cold_threshold(counts, share=0.04) == 1
    assert cold_threshold(counts, share=0.041) == 2
    assert cold_threshold(counts, share=0.08) == 51
    assert cold_threshold(np.array([], dtype=int)) == 1
    with pytest.raises(ValueError, match="share"):
        cold_threshold(counts, share=0.0)
    with pytest.raises(ValueError, match="integers"):
        cold_threshold(counts / 2)

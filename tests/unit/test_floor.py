"""The yardsticks of studies: an optimum that is one, and a structure that is the market's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, rel_entr

from pipelines.simulation.calibration import calibrate
from pipelines.simulation.clicks import base_logits, click_probability
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.draw_market import market_config
from pipelines.simulation.planted import standard
from pipelines.simulation.traffic import simulate_traffic
from pipelines.simulation.world import make_world
from tests.benchmarks.batch_optimum import Design, batch_optimum, logits
from tests.benchmarks.floor import floor_by_day
from tests.benchmarks.planted_structure import planted_structure


def test_the_optimum_is_that_of_a_dense_search() -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(-1, 12, (400, 3)).astype(np.int32)
    clicked = (rng.random(400) < 0.3).astype(np.uint8)
    offset = rng.normal(size=400)
    matrix = sparse.random_array((12, 9), density=0.4, rng=rng, format="csr")
    precision, mean = rng.uniform(0.5, 4.0, 9), rng.normal(size=9)
    found = batch_optimum(rows, clicked, offset, precision, mean, design=Design.of(matrix))
    one_hot = np.zeros((400, 12))
    for column in rows.T:
        np.add.at(one_hot, (np.flatnonzero(column >= 0), column[column >= 0]), 1.0)
    x = one_hot @ matrix.toarray()

    def objective(effects: np.ndarray) -> float:
        p = expit(offset + x @ effects)
        loss = -np.log(np.where(clicked == 1, p, 1.0 - p)).sum()
        return float(loss + 0.5 * precision @ (effects - mean) ** 2)

    expected = minimize(objective, np.zeros(9), method="BFGS", options={"gtol": 1e-7}).x
    assert objective(found) - objective(expected) < 0.01
    assert found == pytest.approx(expected, abs=0.05)
    assert logits(rows, offset, found, Design.of(matrix)) == pytest.approx(offset + x @ found)


def test_without_a_design_each_coordinate_has_its_own_prior_mean() -> None:
    rows = np.array([[0], [-1]], np.int32)
    found = batch_optimum(
        rows, np.array([1, 0], np.uint8), np.zeros(2), np.array([1e9, 2.0]), np.array([0.7, -3.0])
    )
    assert found == pytest.approx([0.7, -3.0], abs=1e-6)


def market(day_level: float = 0.2, **given: object) -> SimulationConfig:
    """A market without what is only nearly in the structure, a second's work a day."""
    small = {
        "days": 4, "search_impressions_per_day": 700, "promoted_impressions_per_day": 700,
        "listings": 150, "users": 200, "queries": 60, "shops": 20,
    }  # fmt: skip
    config = market_config(4, "small", **(small | given))
    assert config.market is not None
    every = dict.fromkeys(
        ("word", "tag", "shop", "category_top", "category_branch", "category_leaf", "shipping",
         "user_category", "query_listing", "query_word", "position", "listing_surface",
         "leaf_surface", "device_surface", "position_surface", "unknown_user", "unknown_query",
         "matched_word", "wrong_category", "price", "newness", "leaf_drift", "weekday",
          "weekend", "hour"), 0.2,
    )  # fmt: skip
    changes = every | {"day_level": day_level, "image": 0.3, "listing_drift": 0.0, "noise": 0.0}
    changes["tail"] = "normal"
    return config.model_copy(update={"market": config.market.model_copy(update=changes)})


def test_with_the_planted_effects_the_structure_gives_the_true_logits() -> None:
    config = market()
    world = make_world(config, config.days)
    planted = world.planted
    assert planted is not None
    assert config.market is not None
    structure = planted_structure(world, config)
    effects = np.zeros(len(structure.deviation))
    for name, place in structure.places.items():
        effects[place] = structure.deviation[place] * standard(
            config, name, np.arange(place.stop - place.start)
        )
    own = {"listing_surface": planted.listing_surface, "unknown_user": planted.unknown_user}
    own |= {"unknown_query": planted.unknown_query}
    for name, values in own.items():
        effects[structure.places[name]] = np.ravel(values)
    for name in ("user_category", "query_listing"):
        assert np.std(effects[structure.places[name]]) == pytest.approx(0.2, rel=0.1)
        effects[structure.places[name]] = 0.0
    effects[structure.places["image"]] = 0.0
    effects[structure.places["surface"]] = 0.0
    effects[structure.places["day_level"]] = 0.0
    without = config.model_copy(
        update={
            "market": config.market.model_copy(
                update={"user_category": 0.0, "query_listing": 0.0, "image": 0.0, "day_level": 0.0}
            )
        }
    )
    plain = make_world(without, config.days)
    found = logits(structure.rows, structure.offset, effects, structure.design)
    for surface in (0, 1):
        for day in range(config.days):
            traffic = simulate_traffic(world, config, day, surface, 700, "traffic")
            logit, newness = base_logits(plain, without, traffic)
            own = (structure.day == day) & (structure.is_promoted == (surface == 1))
            assert found[own] == pytest.approx(logit - 0.2 * newness, abs=1e-9)


def test_the_floor_is_below_what_knows_the_day_only_and_above_the_truth() -> None:
    config = market(0.0, days=12, promoted_click_rate=0.1, search_click_rate=0.1)
    world = make_world(config, config.days)
    intercepts, _ = calibrate(world, config)
    structure = planted_structure(world, config)
    truth = np.concatenate(
        [
            click_probability(*base_logits(world, config, traffic), surface, intercepts)
            for day in range(config.days)
            for surface in (0, 1)
            for traffic in [simulate_traffic(world, config, day, surface, 700, "traffic")]
        ]
    )
    clicked = (np.random.default_rng(5).random(len(truth)) < truth).astype(np.uint8)
    judged = structure.is_promoted & (structure.day >= 10)
    t = truth[judged]
    p = np.concatenate([p for _, p in floor_by_day(structure, clicked, 10)])

    def excess(q: np.ndarray) -> float:
        return float(np.mean(rel_entr(t, q) + rel_entr(1 - t, 1 - q)))

    assert 0.0 < excess(p) < 0.6 * excess(np.full(len(t), t.mean()))
    assert p.sum() == pytest.approx(t.sum(), rel=0.15)

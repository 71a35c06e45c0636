"""Each effect of a drawn market moves the true logit as the market says, and moves nothing else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pipelines.simulation.canonical import listings_table
from pipelines.simulation.clicks import Intercepts
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.days import make_day
from pipelines.simulation.draw_market import market_config
from pipelines.simulation.market import Market
from pipelines.simulation.market_truth import planted_effects
from pipelines.simulation.world import World, make_world

Row = dict[str, Any]
Floats = npt.NDArray[np.float64]
SIZE = 0.4
DAYS = (0, 2, 3)  # a Thursday, a Saturday and a Sunday
INTERCEPTS = {"search": -3.0, "promoted": -4.0}
# Names of fields that are no effects on a click.
STRUCTURE = {"size": 1.0, "ranker": 0.3, "bid": 0.6, "on_leaf": 0.4, "on_topic": 0.8}


def market_with(tail: str = "normal", **effects: float) -> SimulationConfig:
    """A small market in which all other effects are 0."""
    names = set(Market.model_fields) - {"seed", "tail"}
    numbers = dict.fromkeys(names, 0.0) | STRUCTURE | effects
    return market_config(
        5, "small", days=4, market=Market(seed=5, tail=tail, **numbers), listings=600, users=500,
        queries=200, shops=100, categories=48, search_impressions_per_day=1_000,
        promoted_impressions_per_day=1_000,
    )  # fmt: skip


@cache
def simulated(config: SimulationConfig) -> tuple[World, list[Row], Floats]:
    """Some days' impressions with their listings, and what moves their logits."""
    world = make_world(config, max(DAYS))
    market = config.market
    assert market is not None
    rows, logits = [], []
    for day in DAYS:
        made = make_day(world, config, Intercepts(**INTERCEPTS, newness=market.newness), day)
        listings = listings_table(world, config, day).to_pylist()
        by_id = {row["listing_id"]: row for row in listings}
        for row in made.impressions.to_pylist():
            listing = by_id[row["listing_id"]]
            rows.append(listing | row | {"listing_attributes": dict(listing["attributes"])})
        logits.append(np.log(made.probability / (1.0 - made.probability)))
    intercepts = np.array([INTERCEPTS[row["surface"]] for row in rows])
    return world, rows, np.concatenate(logits) - intercepts


def level(row: Row, depth: int) -> str:
    return " > ".join(row["category"].split(" > ")[:depth])


def shared_words(row: Row) -> int:
    return len(set((row["query"] or "").split()) & set(row["title"].split()))


# An effect has one value for each value of its key.
KEYS: dict[str, Callable[[Row], object]] = {
    "listing": lambda row: row["listing_id"],
    "shop": lambda row: row["shop_id"],
    "category_top": lambda row: level(row, 1),
    "category_branch": lambda row: level(row, 2),
    "category_leaf": lambda row: row["category"],
    "shipping": lambda row: row["listing_attributes"]["shipping"],
    "image": lambda row: row["listing_id"],
    "user": lambda row: row["user_id"],
    "query": lambda row: row["query"],
    "user_category": lambda row: row["user_id"] and (row["user_id"], level(row, 1)),
    "query_listing": lambda row: row["query"] and (row["query"], row["listing_id"]),
    "device": lambda row: row["device"],
    "country": lambda row: row["country"],
    "page_type": lambda row: tuple(row["attributes"]),
    "position": lambda row: row["position"],
    "listing_surface": lambda row: (row["listing_id"], row["surface"]),
    "leaf_surface": lambda row: (row["category"], row["surface"]),
    "device_surface": lambda row: (row["device"], row["surface"]),
    "position_surface": lambda row: (row["position"], row["surface"]),
    "listing_drift": lambda row: (row["listing_id"], row["ts"].date()),
    "leaf_drift": lambda row: (row["category"], row["ts"].date()),
    "day_level": lambda row: row["ts"].date(),
    "weekday": lambda row: row["ts"].date(),
    "hour": lambda row: row["ts"].time(),
    "unknown_user": lambda row: row["user_id"] is None,
    "unknown_query": lambda row: row["query"] is None,
    "price": lambda row: (row["category"], row["price"]),
}
MANY_VALUED = (
    "listing", "shop", "category_leaf", "image", "user", "query", "user_category",
    "query_listing", "listing_surface", "leaf_surface", "price",
)  # fmt: skip


def by_key(effect: str, rows: list[Row], logits: Floats) -> list[list[float]]:
    """Logits by key; of what is unknown only where the effect is that of the unknown."""
    found: dict[object, list[float]] = {}
    for row, logit in zip(rows, logits.tolist(), strict=True):
        key = KEYS[effect](row)
        if key is not None:
            found.setdefault(key, []).append(logit)
        else:
            assert logit == pytest.approx(0.0, abs=1e-9)
    return list(found.values())


@pytest.mark.parametrize("effect", KEYS)
def test_an_effect_has_one_value_for_each_value_of_its_key(effect: str) -> None:
    _, rows, logits = simulated(market_with(**{effect: SIZE}))
    groups = by_key(effect, rows, logits)
    assert len(groups) > 1
    # So everything else, whose deviation is 0, is exactly 0.
    assert max(max(group) - min(group) for group in groups) < 1e-9
    assert np.ptp([group[0] for group in groups]) > 1e-3


@pytest.mark.parametrize("effect", MANY_VALUED)
def test_values_of_an_effect_have_the_planted_deviation(effect: str) -> None:
    _, rows, logits = simulated(market_with(**{effect: SIZE}))
    values = [group[0] for group in by_key(effect, rows, logits)]
    # Half of the variance of images is that of a few topics.
    degrees = 20 if effect == "image" else len(values)
    assert np.std(values) == pytest.approx(SIZE, rel=4.0 / np.sqrt(2 * degrees))


@pytest.mark.parametrize(
    ("effect", "texts"),
    [
        ("word", lambda row: row["title"].split()),
        ("tag", lambda row: row["tags"]),
        ("query_word", lambda row: (row["query"] or "").split()),
    ],
)
def test_each_word_adds_its_effect(effect: str, texts: Callable[[Row], list[str]]) -> None:
    world, rows, logits = simulated(market_with(**{effect: SIZE}))
    assert world.planted is not None
    names, values = planted_effects(world, world.planted)[effect]
    assert np.std(values) == pytest.approx(SIZE, rel=0.1)
    worth = dict(zip(names.to_pylist(), values.tolist(), strict=True))
    expected = [sum(worth.get(word, 0.0) for word in texts(row)) for row in rows]
    np.testing.assert_allclose(logits, expected, atol=1e-9)


def test_each_shared_word_adds_the_same() -> None:
    _, rows, logits = simulated(market_with(matched_word=SIZE))
    np.testing.assert_allclose(logits, [SIZE * shared_words(row) for row in rows], atol=1e-9)
    assert max(logits) > 1.5 * SIZE


def test_the_category_that_a_query_shows_most_costs_nothing_and_others_by_distance() -> None:
    _, rows, logits = simulated(market_with(wrong_category=SIZE, on_leaf=0.6))
    shown: dict[str, dict[str, int]] = {}
    for row in rows:
        if row["query"]:
            counts = shown.setdefault(row["query"], {})
            counts[row["category"]] = counts.get(row["category"], 0) + 1
    usual = {query: max(counts, key=lambda leaf: counts[leaf]) for query, counts in shown.items()}
    often = {query for query, counts in shown.items() if sum(counts.values()) > 50}
    assert len(often) > 5
    for row, logit in zip(rows, logits, strict=True):
        if row["query"] in often:
            own, other = (text.split(" > ") for text in (usual[row["query"]], row["category"]))
            common = sum(own[:depth] == other[:depth] for depth in (1, 2, 3))
            assert logit == pytest.approx(-SIZE * (3 - common) / 3, abs=1e-9)
        elif row["query"] is None:
            assert logit == pytest.approx(0.0, abs=1e-9)


def test_positions_fall_by_the_slope_of_their_surface() -> None:
    _, rows, logits = simulated(market_with(slope_search=0.3, slope_promoted=0.7))
    slopes = {"search": 0.3, "promoted": 0.7}
    expected = [-slopes[row["surface"]] * np.log(row["position"]) for row in rows]
    np.testing.assert_allclose(logits, expected, atol=1e-9)


def test_new_listings_have_a_handicap_that_fades() -> None:
    _, rows, logits = simulated(market_with(newness=SIZE))
    ages = [
        (row["ts"].replace(hour=0, minute=0, second=0, microsecond=0) - row["created_ts"])
        .total_seconds() / 86_400
        for row in rows
    ]  # fmt: skip
    np.testing.assert_allclose(logits, -SIZE * np.exp(-np.array(ages) / 8.0), atol=1e-6)


def test_weekends_are_moved_as_a_whole() -> None:
    _, rows, logits = simulated(market_with(weekend=SIZE))
    expected = [SIZE * (row["ts"].weekday() >= 5) for row in rows]
    np.testing.assert_allclose(logits, expected, atol=1e-9)


def test_noise_is_of_each_impression() -> None:
    _, _, logits = simulated(market_with(noise=SIZE))
    assert len(np.unique(logits)) == len(logits)
    assert np.std(logits) == pytest.approx(SIZE, rel=0.05)


def test_a_skilled_ranker_shows_better_listings_more() -> None:
    def gain(ranker: float) -> float:
        config = market_with(listing=1.0, ranker=ranker)
        world, _, logits = simulated(config)
        assert world.planted is not None
        return float(logits.mean() - world.planted.own.mean())

    assert gain(0.6) > 0.3
    assert abs(gain(0.0)) < 0.2


def test_heavy_tails_keep_the_variance() -> None:
    planted = make_world(market_with("student_t_4", user=SIZE).model_copy(
        update={"users": 200_000}), 0).planted  # fmt: skip
    assert planted is not None
    assert planted.user.std() == pytest.approx(SIZE, rel=0.03)
    normal = np.mean(np.abs(planted.user) > 4 * SIZE)
    assert 0.003 < normal < 0.006  # 6e-5 of a normal law

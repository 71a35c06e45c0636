"""The true logit of an impression in a drawn market."""

from __future__ import annotations

import numpy as np

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import newness_on, price_distance
from pipelines.simulation.market import Market
from pipelines.simulation.matching import matched_words
from pipelines.simulation.planted import Planted, standard
from pipelines.simulation.randomness import Floats, Ints
from pipelines.simulation.traffic import Traffic
from pipelines.simulation.world import World

DAY_CORRELATION = 0.8
# Days after which nothing is left of a day's shock to the level.
_MEMORY_DAYS = 40
# Of min(x^2, 6), x normal.
HUMP_DEVIATION = 1.2834
_PAIR = 1 << 32


def market_logits(
    world: World, planted: Planted, config: SimulationConfig, traffic: Traffic
) -> tuple[Floats, Floats]:
    """True logits before the intercepts, and how new each listing is, (impressions,) each."""
    market, surface = planted.market, traffic.surface
    user, query, listing = traffic.user, traffic.query, traffic.listing
    leaf = world.catalogue.category[listing]
    by_listing, newness = _of_listings(world, planted, config, traffic)
    logit = by_listing[listing] + planted.position[surface, traffic.position - 1]
    logit += planted.device[traffic.device] + planted.device_surface[surface, traffic.device]
    logit += planted.country[traffic.country] + planted.page_type[traffic.page_type]
    logit += np.where(user >= 0, planted.user[user], planted.unknown_user)
    logit += np.where(query >= 0, planted.query[query], planted.unknown_query)
    if market.matched_word:
        logit += market.matched_word * matched_words(world, traffic)[0]
    if market.wrong_category:
        unlike = planted.levels.unlike[planted.query_leaf[query], leaf]
        logit -= market.wrong_category * np.where(query >= 0, unlike, 0.0)
    top = planted.levels.top[leaf]
    logit += _of_pairs(config, "user_category", market.user_category, user, top)
    logit += _of_pairs(config, "query_listing", market.query_listing, query, listing)
    hour = traffic.ts_us / 3_600_000_000
    logit += market.hour * np.sin((hour - 14.0) * np.pi / 12)
    logit += planted.weekday[(config.start.weekday() + traffic.day) % 7]
    return logit + day_level(market, config, traffic.day), newness[listing]


def _of_listings(
    world: World, planted: Planted, config: SimulationConfig, traffic: Traffic
) -> tuple[Floats, Floats]:
    """Each listing's part of the logit on a day and surface, and how new it is, (listings,)."""
    market, catalogue, day, surface = planted.market, world.catalogue, traffic.day, traffic.surface
    live = catalogue.live(day)
    leaf = catalogue.category[live]
    part = planted.own[live] + planted.content[live] + planted.listing_surface[surface, live]
    part += (planted.leaf_surface[surface] + leaf_walk(market, config, day))[leaf]
    if market.price:
        distance = price_distance(catalogue, world.vocabulary, live, day, config.seed)
        part -= market.price * np.minimum(distance**2, 6.0) / HUMP_DEVIATION
    if market.listing_drift:
        # Its wave has the period and the phase of the price's, and an amplitude of its own.
        _, period, phase = catalogue.drift[live].T
        amplitude = np.sqrt(2.0) * standard(config, "listing_drift", live)
        part += market.listing_drift * amplitude * np.sin(2 * np.pi * day / period - phase)
    parts, newness = np.zeros((2, len(catalogue.first_day)))
    parts[live], newness[live] = part, newness_on(catalogue, live, day)
    return parts, newness


def _of_pairs(
    config: SimulationConfig, name: str, deviation: float, first: Ints, second: Ints
) -> Floats:
    """Effects of pairs of ids, (impressions,); 0 where the first is unknown."""
    if not deviation:
        return np.zeros(len(first))
    values = standard(config, name, first * _PAIR + second)
    return np.asarray(np.where(first >= 0, deviation * values, 0.0))


def leaf_walk(market: Market, config: SimulationConfig, day: int) -> Floats:
    """Where the random walk of each category leaf is on a day, (leaves,); 0 on the first day."""
    steps = np.arange(day * config.categories, dtype=np.int64)
    walk = standard(config, "leaf_drift", steps).reshape(day, config.categories)
    return np.asarray(market.leaf_drift * walk.sum(axis=0))


def day_level(market: Market, config: SimulationConfig, day: int) -> float:
    """Level of the whole market: an autoregression of first order, and the weekend."""
    shocks = standard(config, "day_level", np.arange(day, day + _MEMORY_DAYS))
    weights = DAY_CORRELATION ** np.arange(_MEMORY_DAYS - 1, -1, -1)
    level = np.sqrt(1.0 - DAY_CORRELATION**2) * float((shocks * weights).sum())
    is_weekend = (config.start.weekday() + day) % 7 >= 5
    return float(market.day_level * level + market.weekend * is_weekend)

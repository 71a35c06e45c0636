"""Results pages of one simulated day: who asked what, and which listings were shown where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.audience import COUNTRY_CDF, DEVICE_CDF
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.pages import LONGEST_PAGE, MEAN_PAGE, PAGE_TYPE_CDF, SURFACES
from pipelines.simulation.randomness import Floats, Ints, draw, generator
from pipelines.simulation.world import Exposure, World
from schemas.table import DAY_US

_FROM_TOPIC, _OWN_QUERY, _LOGGED_OUT = 0.85, 0.4, 0.12
_HOUR_CDF = np.cumsum(1.0 + 0.7 * np.sin((np.arange(24) - 11) * np.pi / 12))
_HOUR_CDF /= _HOUR_CDF[-1]


@dataclass(frozen=True)
class Traffic:
    """Impressions of one surface and day, in order of time; one array entry an impression.

    ``ts_us`` is microseconds within the day; ``user`` and ``query`` are -1 where unknown; ``page``
    counts results pages; ``position`` begins at 1.
    """

    surface: int
    day: int
    ts_us: Ints
    page: Ints
    page_type: Ints
    user: Ints
    query: Ints
    listing: Ints
    position: Ints
    device: Ints
    country: Ints
    is_bot: NDArray[np.bool_]


def simulate_traffic(
    world: World, config: SimulationConfig, day: int, surface: int, count: int, stream: str
) -> Traffic:
    """Exactly ``count`` impressions of a surface on a day index.

    A page shows a listing once; its order follows the listings' own rank and chance, so better
    listings stand higher, as a real ranker would have it.
    """
    # Repeated listings leave a page, so pages are drawn with some to spare. A page keeps at least
    # one, so as many pages as impressions are enough for a world of very few listings.
    for pages in (int(count / MEAN_PAGE[surface] * 1.8) + 8, count):
        rng = generator(config.seed, f"{stream} {SURFACES[surface]}", day)
        user, topic, page_type, query = _ask(world, surface, pages, rng)
        page, listing, order = _fill(world, day, surface, topic, query, rng)
        if len(page) >= count:
            break
    page, listing, order = page[:count], listing[:count], order[:count]
    ranked = np.lexsort((-order, page))
    listing = listing[ranked]
    starts = np.searchsorted(page, np.arange(page[-1] + 1))
    position = np.arange(count) - starts[page] + 1
    shown = page[-1] + 1
    hour = draw(_HOUR_CDF, rng.random(pages)) * 3_600_000_000
    ts_us = np.sort(hour[:shown] + (rng.random(pages)[:shown] * 3_600_000_000).astype(np.int64))
    known = user >= 0
    device = np.where(known, world.audience.user_device[user], draw(DEVICE_CDF, rng.random(pages)))
    country = np.where(
        known, world.audience.user_country[user], draw(COUNTRY_CDF, rng.random(pages))
    )
    is_bot = rng.random(pages) < config.bot_traffic_share
    # Bots are one user each day that works in a burst of a quarter of an hour.
    ts_us = np.where(is_bot[:shown], ts_us // 96 + DAY_US // 3, ts_us)
    user = np.where(is_bot, day % config.users, user)
    by_time = np.argsort(ts_us[page], kind="stable")
    page = page[by_time]
    return Traffic(
        surface=surface,
        day=day,
        ts_us=ts_us[page],
        page=page,
        page_type=page_type[page],
        user=user[page],
        query=query[page],
        listing=listing[by_time],
        position=position[by_time],
        device=device[page],
        country=country[page],
        is_bot=is_bot[page],
    )


def _ask(
    world: World, surface: int, pages: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints, Ints]:
    """User, topic, page type and query of every page."""
    audience = world.audience
    user = draw(audience.user_cdf, rng.random(pages))
    topic = draw(audience.topic_cdf[surface], rng.random(pages))
    liked = audience.user_topic[user]
    has_queries = audience.query_start[liked + 1] > audience.query_start[liked]
    topic = np.where((rng.random(pages) < _OWN_QUERY) & has_queries, liked, topic)
    size = audience.query_start[topic + 1] - audience.query_start[topic]
    # A power of a uniform number is a rank that falls like a Zipf law, at no table's cost.
    rank = np.floor(size * rng.random(pages) ** 2.5).astype(np.int64)
    page_type = draw(PAGE_TYPE_CDF[surface], rng.random(pages))
    query = np.where(page_type == 0, audience.query_start[topic] + rank, -1)
    logged_out = rng.random(pages) < _LOGGED_OUT
    return np.where(logged_out, -1, user), topic, page_type, query


def _fill(
    world: World, day: int, surface: int, topic: Ints, query: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints, Floats]:
    """Page, listing and rank of every impression, in order of pages."""
    pages = len(topic)
    length = 1 + np.minimum(rng.geometric(1 / MEAN_PAGE[surface], pages), LONGEST_PAGE[surface] - 1)
    page = np.repeat(np.arange(pages), length)
    exposure = world.exposure(day, surface)
    low, high = _drawn_from(world, exposure, topic[page], query[page], rng.random(len(page)))
    listing = exposure.draw(low, high, rng.random(len(page)))
    order = world.catalogue.popularity[listing] + rng.gumbel(size=len(page))
    kept = _first_of_page(page, listing, len(world.catalogue.first_day))
    return page[kept], listing[kept], order[kept]


def _drawn_from(
    world: World, exposure: Exposure, topic: Ints, query: Ints, uniform: Floats
) -> tuple[Ints, Ints]:
    """Where in the exposure each impression's listing is drawn from: first place, place after."""
    start, everywhere = exposure.topic_start, len(exposure.listing)
    if world.planted is None:
        is_on_topic = uniform < _FROM_TOPIC
        return np.where(is_on_topic, start[topic], 0), np.where(
            is_on_topic, start[topic + 1], everywhere
        )
    market = world.planted.market
    on_leaf = np.where(query >= 0, market.on_leaf, 0.0)
    place = [uniform < on_leaf, uniform < on_leaf + (1.0 - on_leaf) * market.on_topic]
    leaf = world.planted.query_leaf[query]
    low = np.select(place, [exposure.leaf_start[leaf], start[topic]], 0)
    high = np.select(place, [exposure.leaf_end[leaf], start[topic + 1]], everywhere)
    return low, high


def topic_shares(world: World, surface: int) -> Floats:
    """Share of a surface's pages that ask for each topic, (topics,)."""
    audience = world.audience
    activity = np.diff(audience.user_cdf, prepend=0.0)
    liked = np.bincount(audience.user_topic, weights=activity, minlength=world.vocabulary.topics)
    asked = np.diff(audience.topic_cdf[surface], prepend=0.0)
    return np.asarray(_OWN_QUERY * liked + (1.0 - _OWN_QUERY) * asked)


def _first_of_page(page: Ints, listing: Ints, listings: int) -> NDArray[np.bool_]:
    """Whether a row is the first of its page to show its listing."""
    _, first = np.unique(page * listings + listing, return_index=True)
    kept = np.zeros(len(page), np.bool_)
    kept[first] = True
    return kept

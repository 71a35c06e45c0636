"""Listings of the simulated marketplace: what they say, who sells them, how good they are."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.randomness import (
    Floats,
    Ints,
    generator,
    hashed_uniform,
    stream_key,
)
from pipelines.simulation.vocabulary import Vocabulary, is_repeated

TITLE_WORDS = 10
TAGS = 5
# Two kinds of listing: passing ones and lasting ones (share of the live, mean life in days). They
# set the arrivals, and so how much traffic is cold at a threshold of tens of impressions.
_LIVES = ((0.4, 14.0), (0.6, 200.0))
TEXT_SD, IMAGE_SD, PRICE_SD, CATEGORY_SD = 0.55, 0.60, 0.35, 0.25
SHOP_SD, OWN_SD, DRIFT_SD, FREE_SHIPPING = 0.15, 0.68, 0.15, 0.15
CATEGORY_DRIFT = 0.15
NEWNESS_DAYS = 8.0
QUALITY_IN_POPULARITY, BID_SD = 0.15, 0.75


@dataclass(frozen=True)
class Catalogue:
    """All listings that live on some day, in the order in which they arrive; one array a field.

    ``first_day`` and ``end_day`` are day indices (live when first_day <= day < end_day);
    ``words`` (n, TITLE_WORDS) and ``tags`` (n, TAGS) are word indices, -1 where there is none;
    ``image`` (n, image_dimensions); ``content`` and ``own`` logits; ``drift`` (n, 3) is
    amplitude, period in days and phase; ``popularity`` a log weight of exposure.
    """

    first_day: Ints
    end_day: Ints
    created_us: Ints
    category: Ints
    topic: Ints
    shop: Ints
    words: Ints
    tags: Ints
    log_price: Floats
    stock: Ints
    is_promoted: NDArray[np.bool_]
    is_free_shipping: NDArray[np.bool_]
    image: NDArray[np.float32]
    content: Floats
    own: Floats
    drift: Floats
    popularity: Floats

    def live(self, day: int) -> Ints:
        """Indices of the listings that are live on a day index."""
        return np.flatnonzero((self.first_day <= day) & (day < self.end_day))


def make_catalogue(config: SimulationConfig, vocabulary: Vocabulary, last_day: int) -> Catalogue:
    """All listings that arrive up to a day index; later ones would only be appended."""
    cohorts = [_cohort(config, vocabulary, day) for day in range(last_day + 1)]
    joined = {
        item.name: np.concatenate([getattr(cohort, item.name) for cohort in cohorts])
        for item in fields(Catalogue)
    }
    return Catalogue(**joined)


def _lifetimes(config: SimulationConfig, day: int, rng: np.random.Generator) -> Ints:
    """Remaining lives in days of the listings that begin on a day index."""
    lives = []
    for share, mean in _LIVES:
        live = share * config.listings
        # The first day begins with a stationary stock, the others bring what has left on average.
        count = round(live) if day == 0 else int(rng.poisson(live / mean))
        lives.append(1 + np.floor(rng.exponential(mean, count)).astype(np.int64))
    return np.concatenate(lives)


def _cohort(config: SimulationConfig, vocabulary: Vocabulary, day: int) -> Catalogue:
    rng = generator(config.seed, "listings", day)
    lives = _lifetimes(config, day, rng)
    count = len(lives)
    shop = _draw_shops(config, count, rng)
    category = np.where(
        rng.random(count) < 0.6, shop % config.categories, rng.integers(0, config.categories, count)
    )
    topic = vocabulary.category_topic[category]
    words = vocabulary.draw_words(topic, TITLE_WORDS, rng)
    words[is_repeated(words)] = -1
    length = rng.integers(4, TITLE_WORDS + 1, count)
    words[np.arange(TITLE_WORDS) >= length[:, None]] = -1
    tags = vocabulary.draw_words(topic, TAGS, rng)
    tags[is_repeated(tags)] = -1
    tags[np.arange(TAGS) >= rng.integers(0, TAGS + 1, count)[:, None]] = -1
    log_price = vocabulary.category_log_price[category] + 0.6 * rng.standard_normal(count)
    # Adding a topic's mean image makes images of one topic alike, as they are.
    image = _topic_images(config)[topic] + rng.standard_normal((count, config.image_dimensions))
    is_free_shipping = rng.random(count) < 0.4
    content = (
        TEXT_SD * _text_worth(vocabulary, words)
        + IMAGE_SD * image_worth(config, image)
        + CATEGORY_SD * vocabulary.category_effect[category]
        + FREE_SHIPPING * is_free_shipping
    )
    own = OWN_SD * rng.standard_normal(count)
    bid = rng.standard_normal(count)
    age_us = _ages_us(day, count, rng)
    amplitude = DRIFT_SD * np.sqrt(2) * rng.standard_normal(count)
    drift = [amplitude, rng.uniform(30, 90, count), rng.uniform(0, 2 * np.pi, count)]
    topic_rate = np.clip(config.promoted_share + _promoted_tilt(config)[topic], 0.05, 1.0)
    return Catalogue(
        first_day=np.full(count, day),
        end_day=day + lives,
        created_us=day * 86_400_000_000 - age_us,
        category=category,
        topic=topic,
        shop=shop,
        words=words,
        tags=tags,
        log_price=log_price,
        stock=1 + rng.geometric(0.08, count),
        is_promoted=rng.random(count) < topic_rate,
        is_free_shipping=is_free_shipping,
        image=image.astype(np.float32),
        content=content,
        own=own,
        drift=np.stack(drift, axis=1),
        popularity=QUALITY_IN_POPULARITY * (content + own) + BID_SD * bid,
    )


def _ages_us(day: int, count: int, rng: np.random.Generator) -> Ints:
    """Age in microseconds at the start of the first live day."""
    within_day = rng.random(count)
    days = rng.exponential(90.0, count) if day == 0 else np.zeros(count)
    return ((np.floor(days) + within_day) * 86_399_000_000).astype(np.int64) + 1


def _draw_shops(config: SimulationConfig, count: int, rng: np.random.Generator) -> Ints:
    # The square makes shop sizes uneven: the first tenth of the shops sells a third.
    return np.floor(config.shops * rng.random(count) ** 2).astype(np.int64)


def _topic_images(config: SimulationConfig) -> Floats:
    rng = generator(config.seed, "topic images")
    return rng.standard_normal((config.topics, config.image_dimensions))


def _promoted_tilt(config: SimulationConfig) -> Floats:
    if config.promoted_share == 1.0:
        return np.zeros(config.topics)
    tilt = generator(config.seed, "promoted share").uniform(-0.2, 0.2, config.topics)
    return np.asarray(tilt - tilt.mean())


def _text_worth(vocabulary: Vocabulary, words: Ints) -> Floats:
    present = words >= 0
    effects = np.where(present, vocabulary.word_effect[words], 0.0)
    return np.asarray(effects.sum(axis=1) / np.sqrt(present.sum(axis=1)))


def image_worth(config: SimulationConfig, image: Floats) -> Floats:
    """Linear worth of image vectors, of variance 1 over listings, (rows,)."""
    if not config.image_dimensions:
        return np.zeros(len(image))
    weights = generator(config.seed, "image weights").standard_normal(config.image_dimensions)
    # Not a matrix product: its bits would depend on the number of threads.
    worth = (image * weights).sum(axis=1)
    return np.asarray(worth / np.sqrt(2.0 * (weights**2).sum()))


def price_on(catalogue: Catalogue, listing: Ints, day: int, seed: int) -> Floats:
    """Prices of a day: a slow wave and, in one week of twelve, a fifth off; cents."""
    amplitude, period, phase = catalogue.drift[listing].T
    wave = 0.15 * amplitude * np.sin(2 * np.pi * day / period + phase)
    on_sale = hashed_uniform(listing, stream_key(seed, "sale", day // 7)) < 1 / 12
    price = np.exp(catalogue.log_price[listing] + wave) * np.where(on_sale, 0.8, 1.0)
    return np.asarray(np.round(np.maximum(price, 0.5), 2))


def price_distance(
    catalogue: Catalogue, vocabulary: Vocabulary, listing: Ints, day: int, seed: int
) -> Floats:
    """Log price on a day less its category's mean, in deviations of a category, (listings,)."""
    typical = vocabulary.category_log_price[catalogue.category[listing]]
    return np.asarray((np.log(price_on(catalogue, listing, day, seed)) - typical) / 0.6)


def quality_on(
    catalogue: Catalogue, vocabulary: Vocabulary, listing: Ints, day: int, config: SimulationConfig
) -> Floats:
    """Listing part of the true logit on a day, without the handicap of new listings."""
    shop_effect = SHOP_SD * generator(config.seed, "shops").standard_normal(config.shops)
    amplitude, period, phase = catalogue.drift[listing].T
    drift = amplitude * np.sin(2 * np.pi * day / period + phase)
    distance = price_distance(catalogue, vocabulary, listing, day, config.seed)
    price_fit = PRICE_SD * (1.0 - np.minimum(distance**2, 6.0)) / np.sqrt(2.0)
    category = catalogue.category[listing]
    phase = generator(config.seed, "category drift").uniform(0, 2 * np.pi, config.categories)
    season = CATEGORY_DRIFT * np.sin(2 * np.pi * day / 60.0 + phase)[category]
    fixed = catalogue.content[listing] + catalogue.own[listing]
    return np.asarray(fixed + shop_effect[catalogue.shop[listing]] + drift + season + price_fit)


def newness_on(catalogue: Catalogue, listing: Ints, day: int) -> Floats:
    """1 for a listing created today, falling to 0 with age."""
    age_days = day - catalogue.created_us[listing] / 86_400_000_000
    return np.asarray(np.exp(-age_days / NEWNESS_DAYS))

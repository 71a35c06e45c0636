"""The planted world: vocabulary, listings, audience, and how often a listing is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.simulation.audience import Audience, make_audience
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import Catalogue, make_catalogue
from pipelines.simulation.planted import Planted, make_planted
from pipelines.simulation.randomness import Floats, Ints
from pipelines.simulation.vocabulary import Vocabulary, make_vocabulary

# A ranker shows new listings less at first, so that cold traffic is spread over many of them.
NEW_LISTING_DAMPING = 0.75


@dataclass(frozen=True)
class Exposure:
    """Chances of the listings of one surface and day to be shown.

    ``listing`` is sorted by topic, in a drawn market by category leaf within a topic;
    ``cumulative`` is its running weight with a leading zero. Topic t lies at ``topic_start[t]`` up
    to ``topic_start[t + 1]``, leaf c of a drawn market at ``leaf_start[c]`` up to ``leaf_end[c]``.
    """

    listing: Ints
    cumulative: Floats
    topic_start: Ints
    leaf_start: Ints
    leaf_end: Ints

    def draw(self, low: Ints, high: Ints, uniform: Floats) -> Ints:
        """Listings drawn by weight from places ``low`` up to ``high``, from all where none is."""
        least, most = self.cumulative[low], self.cumulative[high]
        is_empty = most <= least
        least = np.where(is_empty, 0.0, least)
        most = np.where(is_empty, self.cumulative[-1], most)
        places = np.searchsorted(self.cumulative, least + uniform * (most - least), "right") - 1
        return np.asarray(self.listing[np.clip(places, 0, len(self.listing) - 1)])


@dataclass(frozen=True)
class World:
    """All that a day's traffic is drawn from; ``planted`` are the effects of a drawn market."""

    vocabulary: Vocabulary
    catalogue: Catalogue
    audience: Audience
    planted: Planted | None = None

    def exposure(self, day: int, surface: int) -> Exposure:
        """Weights of exposure on a day index; promoted pages (surface 1) show promoted ones."""
        catalogue = self.catalogue
        live = catalogue.live(day)
        if surface == 1:
            live = live[catalogue.is_promoted[live]]
        if not len(live):
            raise ValueError("no live promoted listing: the world is too small")
        leaves = len(self.vocabulary.category_paths)
        place = catalogue.topic[live] * leaves
        if self.planted is not None:
            place += catalogue.category[live]
        order = np.argsort(place, kind="stable")
        live, place = live[order], place[order]
        shyness = 1.0 - NEW_LISTING_DAMPING * np.exp(-(day - catalogue.first_day[live]) / 5.0)
        is_new = catalogue.first_day[live] > 0
        weight = np.exp(catalogue.popularity[live]) * np.where(is_new, shyness, 1.0)
        leaf_place = self.vocabulary.category_topic * leaves + np.arange(leaves)
        return Exposure(
            listing=live,
            cumulative=np.concatenate([[0.0], np.cumsum(weight)]),
            topic_start=np.searchsorted(place, np.arange(self.vocabulary.topics + 1) * leaves),
            leaf_start=np.searchsorted(place, leaf_place),
            leaf_end=np.searchsorted(place, leaf_place, side="right"),
        )

    @cached_property
    def names(self) -> dict[str, pa.Array]:
        """Texts of users, queries, listings and shops by their index."""
        return {
            "user": _numbered("user", len(self.audience.user_effect)),
            "query": pa.array(self.audience.query_texts, pa.string()),
            "listing": _numbered("listing", len(self.catalogue.first_day)),
            "shop": _numbered("shop", int(self.catalogue.shop.max()) + 1),
        }

    @cached_property
    def title_bits(self) -> NDArray[np.uint8]:
        """Which words a title has: one bit a word, (listings, vocabulary / 8)."""
        words = self.catalogue.words
        bits = np.zeros((len(words), len(self.vocabulary.words) // 8 + 1), np.uint8)
        for column in words.T:
            has = np.flatnonzero(column >= 0)
            word = column[has]
            bits[has, word >> 3] |= np.left_shift(1, word & 7).astype(np.uint8)
        return bits


@lru_cache(maxsize=2)
def make_world(config: SimulationConfig, last_day: int) -> World:
    """The world of a configuration, with all listings that arrive up to a day index."""
    vocabulary = make_vocabulary(config)
    catalogue = make_catalogue(config, vocabulary, last_day)
    audience = make_audience(config, vocabulary)
    if config.market is None:
        return World(vocabulary, catalogue, audience)
    planted = make_planted(config, vocabulary, catalogue, audience)
    return World(vocabulary, replace(catalogue, popularity=planted.popularity), audience, planted)


def _numbered(prefix: str, count: int) -> pa.Array:
    return pa.array([f"{prefix}-{number}" for number in range(count)], pa.string())

"""The planted world: vocabulary, listings, audience, and how often a listing is shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.simulation.audience import Audience, make_audience
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import Catalogue, make_catalogue
from pipelines.simulation.randomness import Floats, Ints
from pipelines.simulation.vocabulary import Vocabulary, make_vocabulary

# A ranker shows new listings less at first, so that cold traffic is spread over many of them.
NEW_LISTING_DAMPING = 0.75


@dataclass(frozen=True)
class Exposure:
    """Chances of the listings of one surface and day to be shown.

    ``listing`` is sorted by topic, ``cumulative`` its running weight with a leading zero, and
    topic t lies at ``start[t]`` up to ``start[t + 1]``.
    """

    listing: Ints
    cumulative: Floats
    start: Ints

    def draw(self, topic: Ints, within_topic: NDArray[np.bool_], uniform: Floats) -> Ints:
        """Listings drawn by weight, of the topic where asked for and it has any."""
        low = np.where(within_topic, self.cumulative[self.start[topic]], 0.0)
        high = np.where(within_topic, self.cumulative[self.start[topic + 1]], self.cumulative[-1])
        is_empty = high <= low
        low = np.where(is_empty, 0.0, low)
        high = np.where(is_empty, self.cumulative[-1], high)
        found = np.searchsorted(self.cumulative, low + uniform * (high - low), side="right") - 1
        return np.asarray(self.listing[np.clip(found, 0, len(self.listing) - 1)])


@dataclass(frozen=True)
class World:
    """All that a day's traffic is drawn from."""

    vocabulary: Vocabulary
    catalogue: Catalogue
    audience: Audience

    def exposure(self, day: int, surface: int) -> Exposure:
        """Weights of exposure on a day index; promoted pages (surface 1) show promoted ones."""
        catalogue = self.catalogue
        live = catalogue.live(day)
        if surface == 1:
            live = live[catalogue.is_promoted[live]]
        if not len(live):
            raise ValueError("no live promoted listing: the world is too small")
        live = live[np.argsort(catalogue.topic[live], kind="stable")]
        shyness = 1.0 - NEW_LISTING_DAMPING * np.exp(-(day - catalogue.first_day[live]) / 5.0)
        is_new = catalogue.first_day[live] > 0
        weight = np.exp(catalogue.popularity[live]) * np.where(is_new, shyness, 1.0)
        topics = np.arange(self.vocabulary.topics + 1)
        return Exposure(
            listing=live,
            cumulative=np.concatenate([[0.0], np.cumsum(weight)]),
            start=np.searchsorted(catalogue.topic[live], topics),
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
    return World(
        vocabulary=vocabulary,
        catalogue=make_catalogue(config, vocabulary, last_day),
        audience=make_audience(config, vocabulary),
    )


def _numbered(prefix: str, count: int) -> pa.Array:
    return pa.array([f"{prefix}-{number}" for number in range(count)], pa.string())

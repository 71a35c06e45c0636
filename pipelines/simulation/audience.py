"""Users and queries of the simulated marketplace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.randomness import Floats, Ints, generator, zipf_cdf
from pipelines.simulation.vocabulary import Vocabulary, is_repeated

DEVICES = ("mobile_app", "mobile_web", "desktop")
DEVICE_CDF = np.array([0.45, 0.75, 1.0])
DEVICE_EFFECT = np.array([0.25, -0.25, 0.0])
COUNTRIES = ("US", "GB", "CA", "DE", "AU", "FR", "NL", "IT")
COUNTRY_CDF = np.array([0.55, 0.70, 0.78, 0.85, 0.90, 0.95, 0.98, 1.0])
COUNTRY_EFFECT = np.array([0.12, 0.0, 0.04, -0.2, 0.0, -0.25, -0.15, -0.3])
QUERY_WORDS = 3
USER_SD, QUERY_SD = 0.28, 0.25


@dataclass(frozen=True)
class Audience:
    """Who asks and what is asked.

    Users are in order of activity (``user_cdf``); ``user_topic`` is what they like. Queries are in
    order of popularity within their topic: those of topic t are ``query_start[t]`` up to
    ``query_start[t + 1]``; ``query_words`` (queries, QUERY_WORDS) holds word indices or -1.
    ``topic_cdf`` (2, topics) gives the topic of a search page and of a promoted page.
    """

    user_cdf: Floats
    user_effect: Floats
    user_topic: Ints
    user_device: Ints
    user_country: Ints
    query_texts: list[str]
    query_start: Ints
    query_words: Ints
    query_effect: Floats
    topic_cdf: Floats


def make_audience(config: SimulationConfig, vocabulary: Vocabulary) -> Audience:
    """Draw users and queries from the seed."""
    rng = generator(config.seed, "audience")
    topic = np.sort(rng.integers(0, config.topics, config.queries))
    words = vocabulary.draw_words(topic, QUERY_WORDS, rng)
    words[np.arange(QUERY_WORDS) >= rng.integers(1, QUERY_WORDS + 1, config.queries)[:, None]] = -1
    if config.market is not None:
        # A word counts once, so that the words a title shares with the query can be counted.
        words[is_repeated(words)] = -1
    topic_weight = np.exp(0.4 * rng.standard_normal((2, config.topics)))
    # A topic that no query has cannot be asked for.
    topic_weight *= np.bincount(topic, minlength=config.topics) > 0
    return Audience(
        user_cdf=zipf_cdf(config.users, 0.7),
        user_effect=USER_SD * rng.standard_normal(config.users),
        user_topic=rng.integers(0, config.topics, config.users),
        user_device=np.searchsorted(DEVICE_CDF, rng.random(config.users), side="right"),
        user_country=np.searchsorted(COUNTRY_CDF, rng.random(config.users), side="right"),
        query_texts=_texts(vocabulary, words),
        query_start=np.searchsorted(topic, np.arange(config.topics + 1)),
        query_words=words,
        query_effect=QUERY_SD * rng.standard_normal(config.queries),
        topic_cdf=np.cumsum(topic_weight, axis=1) / topic_weight.sum(axis=1, keepdims=True),
    )


def _texts(vocabulary: Vocabulary, words: Ints) -> list[str]:
    """Query texts, made distinct by a word that no title has."""
    seen: dict[str, int] = {}
    texts = []
    for row in words.tolist():
        text = " ".join(vocabulary.words[word] for word in row if word >= 0)
        seen[text] = seen.get(text, 0) + 1
        texts.append(text if seen[text] == 1 else f"{text} nr{seen[text]}")
    return texts

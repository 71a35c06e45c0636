"""Words, topics and category names of the simulated marketplace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.randomness import Floats, Ints, draw, generator, zipf_cdf

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "ch", "st")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "é", "ø")
_DEPARTMENTS = ("home", "jewelry", "clothing", "art", "craft supplies", "toys", "weddings", "bags")
_SHARED_WORDS = 0.2
_FROM_TOPIC = 0.7


@dataclass(frozen=True)
class Vocabulary:
    """Words with their planted worth, and the categories with theirs.

    ``words`` and ``category_paths`` are texts; ``word_effect`` (words,), ``category_effect``,
    ``category_topic`` and ``category_log_price`` (categories,) the planted values.
    """

    words: list[str]
    word_effect: Floats
    topics: int
    category_paths: list[str]
    category_topic: Ints
    category_effect: Floats
    category_log_price: Floats

    def draw_words(self, topic: Ints, width: int, rng: np.random.Generator) -> Ints:
        """Word indices (len(topic), width): mostly of the topic's own block, else shared."""
        shared = int(len(self.words) * _SHARED_WORDS)
        block = (len(self.words) - shared) // self.topics
        uniform = rng.random((len(topic), width))
        of_topic = rng.random((len(topic), width)) < _FROM_TOPIC
        in_block = shared + topic[:, None] * block + draw(zipf_cdf(block, 1.1), uniform)
        return np.where(of_topic, in_block, draw(zipf_cdf(shared, 1.0), uniform))


def _word(index: int) -> str:
    """Distinct pronounceable word of an index."""
    syllables = len(_ONSETS) * len(_VOWELS)
    length = 2 if index < syllables**2 else 3
    # An odd multiplier permutes the powers of two, so that neighbours do not look alike.
    code = index * 40_503 % syllables**length
    text = ""
    for _ in range(length):
        code, syllable = divmod(code, syllables)
        onset, vowel = divmod(syllable, len(_VOWELS))
        text += _ONSETS[onset] + _VOWELS[vowel]
    return text


def make_vocabulary(config: SimulationConfig) -> Vocabulary:
    """Draw the words' and the categories' planted worth from the seed."""
    rng = generator(config.seed, "vocabulary")
    words = [_word(index) for index in range(config.vocabulary)]
    leaves = np.arange(config.categories)
    paths = [
        f"{_DEPARTMENTS[leaf % len(_DEPARTMENTS)]} > {words[leaf // 16]} > {words[leaf]}"
        for leaf in range(config.categories)
    ]
    return Vocabulary(
        words=words,
        word_effect=rng.standard_normal(config.vocabulary),
        topics=config.topics,
        category_paths=paths,
        category_topic=leaves % config.topics,
        category_effect=rng.standard_normal(config.categories),
        category_log_price=3.2 + 0.5 * rng.standard_normal(config.categories),
    )


def is_repeated(words: Ints) -> NDArray[np.bool_]:
    """Whether a row's word stands further left already, (n, width)."""
    width = words.shape[1]
    same = words[:, :, None] == words[:, None, :]
    return np.asarray((same & np.tri(width, k=-1, dtype=np.bool_)).any(axis=2))

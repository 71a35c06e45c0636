"""The effects of a drawn market: one hashed number for each listing, word, user, pair and so on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from pipelines.simulation.audience import COUNTRIES, DEVICES, Audience
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import Catalogue, image_worth
from pipelines.simulation.market import Market
from pipelines.simulation.pages import LONGEST_PAGE, PAGE_TYPES
from pipelines.simulation.randomness import Floats, Ints, hashed_uniform, stream_key
from pipelines.simulation.vocabulary import Vocabulary

# Beyond, a single effect would decide a day; of the heavier law one in 200,000 is cut.
_LARGEST = 15.0


@dataclass(frozen=True)
class Levels:
    """Levels of the category tree by leaf.

    ``top`` and ``branch`` number the first level and the first two; ``unlike`` (leaves, leaves) is
    the share of levels that two leaves do not have in common.
    """

    top: Ints
    branch: Ints
    unlike: Floats


@dataclass(frozen=True)
class Planted:
    """Effects on the logit, one array a kind, indexed as in the catalogue and the audience.

    ``content`` (listings,) is what words, tags, shop, category, image and shipping of a listing
    come to; ``position`` (surfaces, positions from 1), ``leaf_surface`` (surfaces, leaves),
    ``listing_surface`` (surfaces, listings) and ``device_surface`` (surfaces, devices) hold pairs
    with the surface, ``position`` with the slope and the positions' own; ``query_leaf`` (queries,)
    is the leaf a query asks for; ``content_parts`` the effects that ``content`` is made of;
    ``query`` adds the query's words to ``query_own``.
    """

    market: Market
    own: Floats
    content: Floats
    content_parts: dict[str, Floats]
    levels: Levels
    user: Floats
    query_own: Floats
    query: Floats
    query_word: Floats
    query_leaf: Ints
    device: Floats
    country: Floats
    page_type: Floats
    position: Floats
    listing_surface: Floats
    leaf_surface: Floats
    device_surface: Floats
    unknown_user: float
    unknown_query: float
    weekday: Floats
    popularity: Floats


def standard(config: SimulationConfig, stream: str, keys: Ints) -> Floats:
    """Hashed numbers of mean 0 and variance 1 by the market's law of effects, (keys,).

    Student's t with 4 degrees of freedom has its quantiles in closed form (Shaw, Sampling
    Student's T distribution, J. Comput. Finance 2006) and the variance 2.
    """
    uniform = hashed_uniform(keys, stream_key(config.seed, f"market effect {stream}"))
    uniform = np.maximum(uniform, 2.0**-54)
    if config.market is not None and config.market.tail == "student_t_4":
        root = np.sqrt(4.0 * uniform * (1.0 - uniform))
        tail = np.cos(np.arccos(np.minimum(root, 1.0)) / 3.0) / root
        values = np.copysign(np.sqrt(2.0 * np.maximum(tail - 1.0, 0.0)), uniform - 0.5)
    else:
        values = ndtri(uniform)
    return np.asarray(np.clip(values, -_LARGEST, _LARGEST))


def make_planted(
    config: SimulationConfig, vocabulary: Vocabulary, catalogue: Catalogue, audience: Audience
) -> Planted:
    """Draw all effects but those of pairs of ids, which are hashed where they occur."""
    market = config.market
    if market is None:
        raise ValueError("the reference market has no drawn effects")

    def draw(name: str, deviation: float, *shape: int) -> Floats:
        keys = np.arange(int(np.prod(shape)), dtype=np.int64)
        return deviation * standard(config, name, keys).reshape(shape)

    levels = _levels(vocabulary.category_paths)
    parts = {
        "word": draw("word", market.word, len(vocabulary.words)),
        "tag": draw("tag", market.tag, len(vocabulary.words)),
        "shop": draw("shop", market.shop, config.shops),
        "category_top": draw("category_top", market.category_top, int(levels.top.max()) + 1),
        "category_branch": draw(
            "category_branch", market.category_branch, int(levels.branch.max()) + 1
        ),
        "category_leaf": draw("category_leaf", market.category_leaf, config.categories),
        "shipping": draw("shipping", market.shipping, 2),
    }
    content = _content(config, catalogue, levels, parts)
    own = draw("listing", market.listing, len(catalogue.first_day))
    query_own = draw("query", market.query, len(audience.query_effect))
    query_word = draw("query_word", market.query_word, len(vocabulary.words))
    signs = np.copysign(1.0, draw("unknown", 1.0, 2))
    longest = max(LONGEST_PAGE)
    slopes = np.array([[market.slope_search], [market.slope_promoted]])
    position = draw("position", market.position, 1, longest)
    position = position + draw("position_surface", market.position_surface, 2, longest)
    return Planted(
        market=market,
        own=own,
        content=content,
        content_parts=parts,
        levels=levels,
        user=draw("user", market.user, config.users),
        query_own=query_own,
        query=query_own + _summed(query_word, audience.query_words),
        query_word=query_word,
        query_leaf=_query_leaf(config, audience),
        device=draw("device", market.device, len(DEVICES)),
        country=draw("country", market.country, len(COUNTRIES)),
        page_type=draw("page_type", market.page_type, len(PAGE_TYPES)),
        position=position - slopes * np.log(np.arange(1, longest + 1)),
        listing_surface=draw("listing_surface", market.listing_surface, len(own), 2).T,
        leaf_surface=draw("leaf_surface", market.leaf_surface, 2, config.categories),
        device_surface=draw("device_surface", market.device_surface, 2, len(DEVICES)),
        unknown_user=market.unknown_user * float(signs[0]),
        unknown_query=market.unknown_query * float(signs[1]),
        weekday=draw("weekday", market.weekday, 7),
        popularity=market.ranker * (own + content) + draw("bid", market.bid, len(own)),
    )


def _content(
    config: SimulationConfig, catalogue: Catalogue, levels: Levels, parts: dict[str, Floats]
) -> Floats:
    leaf = catalogue.category
    content = _summed(parts["word"], catalogue.words) + _summed(parts["tag"], catalogue.tags)
    content += parts["shop"][catalogue.shop]
    content += parts["category_top"][levels.top[leaf]] + parts["category_leaf"][leaf]
    content += parts["category_branch"][levels.branch[leaf]]
    content += parts["shipping"][catalogue.is_free_shipping.astype(np.int64)]
    if config.market is not None and config.market.image:
        content += config.market.image * image_worth(config, catalogue.image.astype(np.float64))
    return content


def _summed(effects: Floats, words: Ints) -> Floats:
    """Sum of the effects of a row's words, (rows,)."""
    return np.asarray(np.where(words >= 0, effects[words], 0.0).sum(axis=1))


def _levels(paths: list[str]) -> Levels:
    split = [path.split(" > ") for path in paths]
    numbered = [
        np.unique([" > ".join(names[:depth]) for names in split], return_inverse=True)[1]
        for depth in (1, 2, 3)
    ]
    common = sum((number[:, None] == number[None, :]).astype(np.float64) for number in numbered)
    return Levels(top=numbered[0], branch=numbered[1], unlike=np.asarray(1.0 - common / 3.0))


def _query_leaf(config: SimulationConfig, audience: Audience) -> Ints:
    """The leaf of a query: one of its topic's leaves, which are topic, topic + topics, ..."""
    queries = np.arange(len(audience.query_effect))
    topic = np.searchsorted(audience.query_start, queries, side="right") - 1
    leaves = (config.categories - topic + config.topics - 1) // config.topics
    uniform = hashed_uniform(queries, stream_key(config.seed, "market query leaf"))
    leaf = topic + config.topics * np.floor(uniform * leaves).astype(np.int64)
    # With more topics than leaves some have none.
    return np.asarray(np.minimum(leaf, config.categories - 1))

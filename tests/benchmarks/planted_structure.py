"""A drawn market's own structure as a regression: what each impression's logit is a sum of.

Who fits it with the planted deviations as priors knows all that can be known of a market but the
effects themselves: the simulator's rows, words, shops and pairs, and what each kind of effect is
worth. Numbers that are one for the whole market, such as what a matched word adds, are known too:
a few thousand clicks tell them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import newness_on, price_distance
from pipelines.simulation.market_logits import DAY_CORRELATION, HUMP_DEVIATION
from pipelines.simulation.matching import matched_words
from pipelines.simulation.pages import LONGEST_PAGE, SURFACES
from pipelines.simulation.planted import Planted
from pipelines.simulation.traffic import Traffic, simulate_traffic
from pipelines.simulation.world import World
from tests.benchmarks.batch_optimum import Design

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Effects = tuple[str, float, sparse.csr_array]
"""Name, standard deviation, and from effects to coordinates."""

# A listing's wave has a period of 30 to 90 days that no log tells: one in the middle for all.
_WAVE_DAYS = 50.0
_INTERCEPT_DEVIATION = 10.0
_PAIR = 1 << 32


@dataclass(frozen=True)
class Structure:
    """Rows of a market as sums of effects.

    Attributes
    ----------
    day, is_promoted : numpy.ndarray, shape (n,)
        Day index and surface of each row: by day, search first, in the simulator's order.
    rows : numpy.ndarray of int32, shape (n, K)
        Coordinates of each row; -1 for none.
    offset : numpy.ndarray of float64, shape (n,)
        The part of each logit that is known.
    design : Design
        From effects to coordinates.
    deviation : numpy.ndarray of float64, shape (p,)
        Planted standard deviation of each effect; wide for the surfaces' intercepts.
    is_heavy : bool
        Whether effects follow Student's t with 4 degrees of freedom, not a normal law.
    places : dict of str to slice
        Where the effects of each kind are.
    """

    day: Ints
    is_promoted: npt.NDArray[np.bool_]
    rows: npt.NDArray[np.int32]
    offset: Floats
    design: Design
    deviation: Floats
    is_heavy: bool
    places: dict[str, slice]


@dataclass
class _Columns:
    """What rows are made of, column by column."""

    indices: list[npt.NDArray[np.int32]] = field(default_factory=list)
    blocks: list[sparse.csr_array] = field(default_factory=list)
    deviations: list[Floats] = field(default_factory=list)
    places: dict[str, slice] = field(default_factory=dict)
    coordinates: int = 0
    effects: int = 0

    def add(self, index: Ints, *effects: Effects) -> None:
        """A column whose coordinates are sums of effects; those that are 0 are left out."""
        kept = [part for part in effects if part[1] > 0.0]
        if not kept:
            return
        for name, deviation, matrix in kept:
            count = matrix.shape[1]
            self.places[name] = slice(self.effects, self.effects + count)
            self.deviations.append(np.full(count, deviation))
            self.effects += count
        block = sparse.hstack([matrix for _, _, matrix in kept], format="csr")
        self.blocks.append(block)
        self.indices.append(np.where(index >= 0, index + self.coordinates, -1).astype(np.int32))
        self.coordinates += block.shape[0]


def planted_structure(world: World, config: SimulationConfig) -> Structure:
    """The structure of all days of a drawn market.

    Raises
    ------
    ValueError
        It is the reference market, which has no drawn effects.
    """
    planted = world.planted
    if planted is None:
        raise ValueError("the reference market has no drawn effects")
    volumes = (config.search_impressions_per_day, config.promoted_impressions_per_day)
    traffics = [
        simulate_traffic(world, config, day, surface, volume, "traffic")
        for day in range(config.days)
        for surface, volume in enumerate(volumes)
    ]

    def all_of(name: str) -> Ints:
        return np.concatenate([getattr(traffic, name) for traffic in traffics])

    lengths = [len(traffic.listing) for traffic in traffics]
    day = np.repeat([traffic.day for traffic in traffics], lengths)
    surface = np.repeat([traffic.surface for traffic in traffics], lengths)
    columns = _Columns()
    columns.add(surface, ("surface", _INTERCEPT_DEVIATION, _each(len(SURFACES))))
    _add_listings(columns, world, planted, config, day, surface, all_of("listing"))
    _add_requests(columns, world, planted, config, day, surface, all_of)
    return Structure(
        day,
        surface == 1,
        np.stack(columns.indices, axis=1),
        np.concatenate([_known(world, planted, config, traffic) for traffic in traffics]),
        Design.of(sparse.block_diag(columns.blocks, format="csr")),
        np.concatenate(columns.deviations),
        planted.market.tail != "normal",
        columns.places,
    )


def _add_listings(
    columns: _Columns, world: World, planted: Planted, config: SimulationConfig,
    day: Ints, surface: Ints, listing: Ints,
) -> None:  # fmt: skip
    """Columns that the listing decides, alone or with day and surface."""
    market, catalogue, levels = planted.market, world.catalogue, planted.levels
    listings, words = len(catalogue.first_day), len(world.vocabulary.words)
    leaf = catalogue.category
    image = sparse.csr_array(catalogue.image.astype(np.float64))
    columns.add(
        listing,
        ("listing", market.listing, _each(listings)),
        ("word", market.word, _chosen(catalogue.words, words)),
        ("tag", market.tag, _chosen(catalogue.tags, words)),
        ("shop", market.shop, _chosen(catalogue.shop, config.shops)),
        ("category_top", market.category_top, _chosen(levels.top[leaf], levels.top.max() + 1)),
        ("category_branch", market.category_branch,
         _chosen(levels.branch[leaf], levels.branch.max() + 1)),
        ("category_leaf", market.category_leaf, _chosen(leaf, config.categories)),
        ("shipping", market.shipping, _chosen(catalogue.is_free_shipping.astype(np.int64), 2)),
        # Images of a topic are alike, so that a vector's numbers have variance 2.
        ("image", market.image / np.sqrt(2.0 * max(config.image_dimensions, 1)), image),
    )  # fmt: skip
    columns.add(
        surface * listings + listing,
        ("listing_surface", market.listing_surface, _each(2 * listings)),
    )
    shown_leaf = leaf[listing]
    leaves = config.categories
    columns.add(
        surface * leaves + shown_leaf, ("leaf_surface", market.leaf_surface, _each(2 * leaves))
    )
    # On a day the walk is the sum of the steps of all days before.
    steps = sparse.csr_array(np.tril(np.ones((config.days, config.days)), -1))
    walk = sparse.kron(steps, _each(leaves), format="csr")
    columns.add(day * leaves + shown_leaf, ("leaf_drift", market.leaf_drift, walk))
    pairs, index = np.unique(day * _PAIR + listing, return_inverse=True)
    turn = 2.0 * np.pi / _WAVE_DAYS * (pairs // _PAIR)
    own = _chosen(pairs % _PAIR, listings)
    columns.add(
        index,
        ("listing_drift sine", market.listing_drift, own.multiply(np.sin(turn)[:, None]).tocsr()),
        ("listing_drift cosine", market.listing_drift, own.multiply(np.cos(turn)[:, None]).tocsr()),
    )


def _add_requests(
    columns: _Columns, world: World, planted: Planted, config: SimulationConfig,
    day: Ints, surface: Ints, all_of,
) -> None:  # fmt: skip
    """Columns that the request decides, alone or with the listing."""
    market, audience = planted.market, world.audience
    user, query, listing, device = (all_of(n) for n in ("user", "query", "listing", "device"))
    queries, words, devices = (
        len(audience.query_effect), len(world.vocabulary.words), len(planted.device),
    )  # fmt: skip
    columns.add(user, ("user", market.user, _each(config.users)))
    columns.add(np.where(user < 0, 0, -1), ("unknown_user", market.unknown_user, _each(1)))
    columns.add(
        query,
        ("query", market.query, _each(queries)),
        ("query_word", market.query_word, _chosen(audience.query_words, words)),
    )
    columns.add(np.where(query < 0, 0, -1), ("unknown_query", market.unknown_query, _each(1)))
    top = planted.levels.top[world.catalogue.category[listing]]
    for name, deviation, first, second in (
        ("user_category", market.user_category, user, top),
        ("query_listing", market.query_listing, query, listing),
    ):
        if deviation:
            pairs, index = np.unique(first * _PAIR + second, return_inverse=True)
            columns.add(np.where(first >= 0, index, -1), (name, deviation, _each(len(pairs))))
    longest = max(LONGEST_PAGE)
    columns.add(
        surface * longest + all_of("position") - 1,
        ("position", market.position, _chosen(np.tile(np.arange(longest), 2), longest)),
        ("position_surface", market.position_surface, _each(2 * longest)),
    )
    columns.add(
        surface * devices + device,
        ("device", market.device, _chosen(np.tile(np.arange(devices), 2), devices)),
        ("device_surface", market.device_surface, _each(2 * devices)),
    )
    columns.add(all_of("country"), ("country", market.country, _each(len(planted.country))))
    columns.add(all_of("page_type"), ("page_type", market.page_type, _each(len(planted.page_type))))
    days = np.arange(config.days)
    covariance = DAY_CORRELATION ** np.abs(days[:, None] - days)
    level = sparse.csr_array(linalg.cholesky(covariance, lower=True))
    weekday = _chosen((config.start.weekday() + days) % 7, 7)
    columns.add(day, ("day_level", market.day_level, level), ("weekday", market.weekday, weekday))


def _known(world: World, planted: Planted, config: SimulationConfig, traffic: Traffic) -> Floats:
    """The part of the logits of a surface's day that one number for all decides."""
    market, catalogue, day = planted.market, world.catalogue, traffic.day
    slope = (market.slope_search, market.slope_promoted)[traffic.surface]
    known = -slope * np.log(traffic.position)
    known += market.matched_word * matched_words(world, traffic)[0]
    leaf = catalogue.category[traffic.listing]
    unlike = planted.levels.unlike[planted.query_leaf[traffic.query], leaf]
    known -= market.wrong_category * np.where(traffic.query >= 0, unlike, 0.0)
    distance = price_distance(catalogue, world.vocabulary, traffic.listing, day, config.seed)
    known -= market.price * np.minimum(distance**2, 6.0) / HUMP_DEVIATION
    known -= market.newness * newness_on(catalogue, traffic.listing, day)
    known += market.hour * np.sin((traffic.ts_us / 3_600_000_000 - 14.0) * np.pi / 12)
    known += market.weekend * ((config.start.weekday() + day) % 7 >= 5)
    return known


def _each(count: int) -> sparse.csr_array:
    """Every coordinate an effect of its own."""
    return sparse.eye_array(count, format="csr")


def _chosen(codes: Ints, count: int) -> sparse.csr_array:
    """Coordinates that are sums of the effects of their codes; -1 for none."""
    table = codes.reshape(len(codes), -1)
    row, column = np.nonzero(table >= 0)
    shape = (len(codes), int(count))
    return sparse.csr_array((np.ones(len(row)), (row, table[row, column])), shape=shape)

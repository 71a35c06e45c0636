"""What a click depends on in a drawn market, and how much: one number an effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Drawn:
    """The range that a number is drawn from, log-uniformly, and the chance that it is 0 instead.

    ``is_sized`` numbers are multiplied by the market's ``size`` after that.
    """

    low: float
    high: float
    zero: float = 0.0
    is_sized: bool = False


def _effect(low: float, zero: float) -> Drawn:
    """Deviation of an effect: a factor of four, times the market's size."""
    return Drawn(low, 4.0 * low, zero, is_sized=True)


class Market(BaseModel):
    """Standard deviations and strengths of all that moves the logit of a click.

    A deviation is that of independent effects with mean 0, one for each value of what the field
    is named after; ``a_b`` is one for each pair of an a and a b. The other fields say what they
    are multiplied with.

    Attributes
    ----------
    seed, size, tail
        Seed of the market; a factor on all its effects; law of the effects, both of variance 1.
    listing, word, tag, shop, category_top, category_branch, category_leaf, shipping
        Deviations: the listing's own, a word of the title, a tag, the shop, the first level,
        first two levels and whole path of the category, the values of the attribute ``shipping``.
    image
        About the deviation over listings of a linear function of the image vector.
    user, query, query_word
        Deviations: ids, words of the query.
    user_category, query_listing
        Deviations of pairs; user with ``category_top``.
    device, country, page_type, position
        Deviations of the context; of positions on top of the slope.
    listing_surface, leaf_surface, device_surface, position_surface
        Deviations of pairs with the surface.
    unknown_user, unknown_query
        Size of the effect of having none; the sign is drawn.
    matched_word
        For each word of the query that stands in the title.
    wrong_category
        Taken off where query and listing share no level of the category, in part where they
        share some: the query's is the leaf that its pages show most.
    price
        Deviation over listings of a hump of log price around the category's mean.
    newness
        Taken off a listing created today; falls with e^(-age / 8 days).
    listing_drift
        Deviation of a listing's slow wave of 30 to 90 days.
    leaf_drift
        Deviation of a category leaf's random walk, a day.
    day_level
        Deviation of the whole market's level, with correlation .8 from day to day.
    weekday, weekend, hour
        Deviation of weekdays; added on Saturday and Sunday; amplitude over the day.
    noise
        Deviation of what no log can know, for each impression.
    slope_search, slope_promoted
        Taken off for each unit of the logarithm of the position.
    ranker, bid
        Weight of a listing's static logit and deviation of chance in its log weight of exposure.
    on_leaf, on_topic
        Share of a query's impressions drawn from its leaf, and of the others from its topic.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int
    tail: Literal["normal", "student_t_4"]
    size: Annotated[float, Drawn(0.5, 2.0)]

    listing: Annotated[float, _effect(0.25, 0.0)]
    word: Annotated[float, _effect(0.04, 0.2)]
    tag: Annotated[float, _effect(0.06, 0.3)]
    shop: Annotated[float, _effect(0.10, 0.2)]
    category_top: Annotated[float, _effect(0.06, 0.3)]
    category_branch: Annotated[float, _effect(0.05, 0.4)]
    category_leaf: Annotated[float, _effect(0.06, 0.3)]
    shipping: Annotated[float, _effect(0.05, 0.5)]
    image: Annotated[float, _effect(0.10, 0.4)]

    user: Annotated[float, _effect(0.20, 0.1)]
    query: Annotated[float, _effect(0.15, 0.1)]
    query_word: Annotated[float, _effect(0.04, 0.4)]
    user_category: Annotated[float, _effect(0.08, 0.4)]
    query_listing: Annotated[float, _effect(0.08, 0.4)]

    device: Annotated[float, Drawn(0.10, 0.40)]
    country: Annotated[float, Drawn(0.06, 0.24)]
    page_type: Annotated[float, Drawn(0.10, 0.40)]
    position: Annotated[float, Drawn(0.02, 0.08, 0.5)]

    listing_surface: Annotated[float, _effect(0.08, 0.3)]
    leaf_surface: Annotated[float, _effect(0.05, 0.3)]
    device_surface: Annotated[float, Drawn(0.05, 0.20, 0.3)]
    position_surface: Annotated[float, Drawn(0.03, 0.12, 0.3)]

    unknown_user: Annotated[float, Drawn(0.10, 0.40, 0.2)]
    unknown_query: Annotated[float, Drawn(0.10, 0.40, 0.2)]
    matched_word: Annotated[float, Drawn(0.10, 0.40, 0.1)]
    wrong_category: Annotated[float, Drawn(0.20, 0.80, 0.25)]
    price: Annotated[float, _effect(0.10, 0.3)]
    newness: Annotated[float, Drawn(0.25, 1.00, 0.3)]

    listing_drift: Annotated[float, _effect(0.05, 0.4)]
    leaf_drift: Annotated[float, Drawn(0.01, 0.04, 0.5)]
    day_level: Annotated[float, Drawn(0.03, 0.12, 0.2)]
    weekday: Annotated[float, Drawn(0.01, 0.04, 0.4)]
    weekend: Annotated[float, Drawn(0.03, 0.12, 0.4)]
    hour: Annotated[float, Drawn(0.05, 0.20, 0.2)]
    noise: Annotated[float, Drawn(0.10, 0.40, 0.3)]

    slope_search: Annotated[float, Drawn(0.20, 0.80)]
    slope_promoted: Annotated[float, Drawn(0.20, 0.80)]
    ranker: Annotated[float, Drawn(0.10, 0.60, 0.25)]
    bid: Annotated[float, Drawn(0.40, 1.20)]
    on_leaf: Annotated[float, Drawn(0.20, 0.60)]
    on_topic: Annotated[float, Drawn(0.50, 0.90)]

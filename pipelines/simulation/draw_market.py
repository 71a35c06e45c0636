"""Drawing a market: from a seed to the configuration of its simulation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.market import Drawn, Market
from pipelines.simulation.randomness import hashed_uniform, stream_key

Scale = Literal["small", "medium", "large"]
# Of both surfaces; in 37 days .3, 1.5 and 4.4 million.
IMPRESSIONS_PER_DAY: dict[Scale, int] = {"small": 8_000, "medium": 40_000, "large": 120_000}
_REFERENCE_DAYS = 37

STRUCTURE = {
    "days": Drawn(20, 60),
    "search_share": Drawn(0.3, 0.7),
    # Impressions in 37 days.
    "per_listing": Drawn(100, 600),
    "per_user": Drawn(8, 32),
    "per_query": Drawn(30, 120),
    "listings_per_shop": Drawn(4, 16),
    "categories": Drawn(24, 96),
    "topics": Drawn(6, 24),
    "vocabulary": Drawn(500, 2_000),
    "promoted_share": Drawn(0.3, 0.9),
    "promoted_click_rate": Drawn(0.005, 0.02),
    "search_click_rate": Drawn(0.0125, 0.05),
}
_HEAVY_TAILS = 0.4


def draw_market(seed: int) -> Market:
    """The effects of a market: a deterministic function of its seed."""
    ranges = {
        name: drawn
        for name, field in Market.model_fields.items()
        for drawn in field.metadata
        if isinstance(drawn, Drawn)
    }
    numbers = {name: _number(seed, name, drawn) for name, drawn in ranges.items()}
    for name, drawn in ranges.items():
        if drawn.is_sized:
            numbers[name] = _rounded(numbers[name] * numbers["size"])
    is_heavy = _uniform(seed, "tail") < _HEAVY_TAILS
    return Market(seed=seed, tail="student_t_4" if is_heavy else "normal", **numbers)


def market_config(seed: int, scale: Scale = "medium", **given: Any) -> SimulationConfig:
    """The simulation of a drawn market.

    Parameters
    ----------
    seed
        Which market.
    scale
        How much traffic it has a day; numbers of listings, users and queries follow from it and
        from the drawn densities.
    given
        Settings that are not drawn, or not to be drawn.

    Raises
    ------
    pydantic.ValidationError
        If a given setting is unknown or impossible.
    """
    drawn = {name: _number(seed, name, bounds) for name, bounds in STRUCTURE.items()}
    per_day = IMPRESSIONS_PER_DAY[scale]
    total = per_day * _REFERENCE_DAYS
    search = round(per_day * drawn["search_share"])
    listings = round(total / drawn["per_listing"])
    settings = {
        "seed": seed,
        "market": draw_market(seed),
        "days": round(drawn["days"]),
        "search_impressions_per_day": search,
        "promoted_impressions_per_day": per_day - search,
        "listings": listings,
        "users": round(total / drawn["per_user"]),
        "queries": round(total / drawn["per_query"]),
        "shops": max(round(listings / drawn["listings_per_shop"]), 1),
        "categories": round(drawn["categories"]),
        "topics": round(drawn["topics"]),
        "vocabulary": round(drawn["vocabulary"]),
        "promoted_share": drawn["promoted_share"],
        "promoted_click_rate": drawn["promoted_click_rate"],
        "search_click_rate": drawn["search_click_rate"],
    }
    return SimulationConfig(**(settings | given))


def _uniform(seed: int, name: str) -> float:
    return float(hashed_uniform(np.zeros(1, np.int64), stream_key(seed, f"market {name}"))[0])


def _number(seed: int, name: str, drawn: Drawn) -> float:
    """Log-uniform within the range, or 0."""
    if _uniform(seed, f"{name} is zero") < drawn.zero:
        return 0.0
    return _rounded(drawn.low * (drawn.high / drawn.low) ** _uniform(seed, name))


def _rounded(number: float) -> float:
    """Four digits, so that what is printed is what is used."""
    return float(f"{number:.4g}")

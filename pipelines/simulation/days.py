"""One simulated day in memory: its impressions, the clicks they get, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.simulation.canonical import (
    TIMESTAMP,
    clicks_table,
    day_start_us,
    impressions_table,
)
from pipelines.simulation.clicks import (
    BOT_CLICK_RATE,
    Intercepts,
    base_logits,
    click_probability,
    draw_clicks,
    unknowable_part,
)
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.randomness import Floats, Ints
from pipelines.simulation.traffic import simulate_traffic
from pipelines.simulation.world import World
from schemas.table import DAY_US


@dataclass(frozen=True)
class SimulatedDay:
    """Both surfaces of a day, search first; arrays have one entry an impression.

    ``clicks`` holds all clicks that the day's impressions will ever get, so also those that land
    on the next day; ``counts`` (2, listings) the impressions by surface and listing.
    """

    day: int
    impressions: pa.Table
    clicks: pa.Table
    listing: Ints
    probability: Floats
    clicked: pa.Array
    counts: Ints


def make_day(
    world: World, config: SimulationConfig, intercepts: Intercepts, day: int
) -> SimulatedDay:
    """Draw one day: a pure function of the world and the day index."""
    impressions, clicks, listings, probabilities, is_clicked = [], [], [], [], []
    volumes = (config.search_impressions_per_day, config.promoted_impressions_per_day)
    for surface, volume in enumerate(volumes):
        traffic = simulate_traffic(world, config, day, surface, volume, "traffic")
        logit, newness = base_logits(world, config, traffic)
        logit += unknowable_part(traffic, config, "traffic")
        probability = click_probability(logit, newness, surface, intercepts)
        probability = np.where(traffic.is_bot, BOT_CLICK_RATE, probability)
        clicked, drawn = draw_clicks(probability, traffic, config.seed)
        impressions.append(impressions_table(world, config, traffic))
        clicks.append(clicks_table(config, traffic, drawn))
        listings.append(traffic.listing)
        probabilities.append(probability)
        is_clicked.append(clicked)
    size = len(world.catalogue.first_day)
    return SimulatedDay(
        day=day,
        impressions=pa.concat_tables(impressions),
        clicks=pa.concat_tables(clicks),
        listing=np.concatenate(listings),
        probability=np.concatenate(probabilities),
        clicked=pa.array(np.concatenate(is_clicked)),
        counts=np.stack([np.bincount(listing, minlength=size) for listing in listings]),
    )


def clicks_landing(
    config: SimulationConfig, day: int, impression_days: list[SimulatedDay], span_us: int = DAY_US
) -> pa.Table:
    """Clicks on some days' impressions whose own time lies within a day's first ``span_us``.

    They are in order of time, so that a shorter span gives the first rows of a longer one.
    """
    start = day_start_us(config, day)
    low, high = (pa.scalar(bound, TIMESTAMP) for bound in (start, start + span_us))
    clicks = pa.concat_tables([made.clicks for made in impression_days])
    inside = pc.and_(pc.greater_equal(clicks["ts"], low), pc.less(clicks["ts"], high))
    return clicks.filter(inside).sort_by([("ts", "ascending"), ("click_id", "ascending")])


def truth_table(made: SimulatedDay, is_cold: NDArray[np.bool_]) -> pa.Table:
    """The planted truth of a day's impressions."""
    answer = made.impressions.select(["impression_id", "surface", "listing_id"])
    answer = answer.append_column("probability", pa.array(made.probability))
    answer = answer.append_column("clicked", made.clicked)
    return answer.append_column("is_cold", pa.array(is_cold))

"""The planted truth: the click probability of every impression, and the clicks drawn from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.audience import COUNTRY_EFFECT, DEVICE_EFFECT
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import newness_on, quality_on
from pipelines.simulation.market_logits import day_level, market_logits
from pipelines.simulation.matching import matched_words
from pipelines.simulation.pages import SURFACES
from pipelines.simulation.randomness import Floats, Ints, generator
from pipelines.simulation.traffic import Traffic
from pipelines.simulation.world import World

POSITION_SLOPE = (0.50, 0.35)
PAGE_TYPE_EFFECT = np.array([0.0, -0.2, -0.4])
MATCH, TASTE, NOISE_SD, LOGGED_OUT = 1.0, 0.15, 0.22, -0.2
BOT_CLICK_RATE = 0.3
_MEDIAN_DELAY_SEC, _DELAY_SIGMA, _LONGEST_DELAY_SEC = 45.0, 2.0, 86_399.0
_SECOND_CLICK = 0.04


@dataclass(frozen=True)
class Intercepts:
    """What calibration sets: a constant for each surface and the handicap of new listings."""

    search: float
    promoted: float
    newness: float

    def of(self, surface: int) -> float:
        """Constant of a surface."""
        return self.promoted if surface == 1 else self.search


@dataclass(frozen=True)
class Clicks:
    """Clicks on the impressions of one surface and day, in order of time.

    ``row`` is the impression's row in its traffic; ``ts_us`` counts from the start of the
    impression's day, so a click past midnight has more than a day; ``repeat`` is 1 for a second
    click on the same impression.
    """

    row: Ints
    ts_us: Ints
    repeat: Ints


def base_logits(world: World, config: SimulationConfig, traffic: Traffic) -> tuple[Floats, Floats]:
    """True logits before the intercepts, and how new each listing is.

    Returns
    -------
    tuple of arrays (impressions,)
        Logit without intercept and newness handicap, newness in [0, 1].
    """
    if world.planted is not None:
        return market_logits(world, world.planted, config, traffic)
    catalogue, audience, day = world.catalogue, world.audience, traffic.day
    live = catalogue.live(day)
    quality = np.zeros(len(catalogue.first_day))
    newness = np.zeros(len(catalogue.first_day))
    quality[live] = quality_on(catalogue, world.vocabulary, live, day, config)
    newness[live] = newness_on(catalogue, live, day)
    hour = traffic.ts_us / 3_600_000_000
    user, query, listing = traffic.user, traffic.query, traffic.listing
    likes = audience.user_topic[user] == catalogue.topic[listing]
    logit = quality[listing]
    logit -= POSITION_SLOPE[traffic.surface] * np.log(traffic.position)
    logit += np.where(user >= 0, audience.user_effect[user] + TASTE * likes, LOGGED_OUT)
    logit += np.where(query >= 0, audience.query_effect[query], 0.0)
    matched, words = matched_words(world, traffic)
    logit += MATCH * (matched / np.maximum(words, 1))
    logit += DEVICE_EFFECT[traffic.device] + COUNTRY_EFFECT[traffic.country]
    logit += PAGE_TYPE_EFFECT[traffic.page_type]
    logit += 0.12 * np.sin((hour - 14.0) * np.pi / 12) + market_effect(config, day)
    return logit, newness[listing]


def market_effect(config: SimulationConfig, day: int) -> float:
    """Drift of the whole market's logit: two slow waves and the days of the week.

    Its mean over the first five weeks is 0, so that the configured rates hold for them.
    """
    if config.market is not None:
        return day_level(config.market, config, day)
    phases = generator(config.seed, "market").uniform(0, 2 * np.pi, 2)

    def drift(days: Ints) -> Floats:
        waves = 0.05 * np.sin(days / 45.0 * 2 * np.pi + phases[0])
        waves += 0.03 * np.sin(days / 17.0 * 2 * np.pi + phases[1])
        return np.asarray(waves + 0.05 * ((config.start.weekday() + days) % 7 >= 5))

    return float(drift(np.array([day]))[0] - drift(np.arange(35)).mean())


def unknowable_part(traffic: Traffic, config: SimulationConfig, stream: str) -> Floats:
    """Part of the true logit of each impression that no log can know, (impressions,)."""
    rng = generator(config.seed, f"{stream} noise {SURFACES[traffic.surface]}", traffic.day)
    deviation = NOISE_SD if config.market is None else config.market.noise
    return np.asarray(deviation * rng.standard_normal(len(traffic.listing)))


def click_probability(
    logit: Floats, newness: Floats, surface: int, intercepts: Intercepts
) -> Floats:
    """True click probability of a logit without intercept and handicap of new listings."""
    total = logit + intercepts.of(surface) - intercepts.newness * newness
    return np.asarray(1.0 / (1.0 + np.exp(-total)))


def draw_clicks(
    probability: Floats, traffic: Traffic, seed: int
) -> tuple[NDArray[np.bool_], Clicks]:
    """Whether each impression is clicked, and the clicks with their times.

    Delays are lognormal with a tail of hours, cut off at a day.
    """
    rng = generator(seed, f"clicks {SURFACES[traffic.surface]}", traffic.day)
    clicked = rng.random(len(probability)) < probability
    row = np.flatnonzero(clicked)
    again = row[rng.random(len(row)) < _SECOND_CLICK]
    rows = np.concatenate([row, again])
    delay = _MEDIAN_DELAY_SEC * np.exp(_DELAY_SIGMA * rng.standard_normal(len(rows)))
    delay_us = (np.clip(delay, 0.2, _LONGEST_DELAY_SEC) * 1e6).astype(np.int64)
    ts_us = traffic.ts_us[rows] + delay_us
    repeat = np.repeat([0, 1], [len(row), len(again)])
    order = np.lexsort((repeat, rows, ts_us))
    return clicked, Clicks(row=rows[order], ts_us=ts_us[order], repeat=repeat[order])

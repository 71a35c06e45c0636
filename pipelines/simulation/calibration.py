"""Intercepts that give the planted world its click rates, found without drawing a click."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulation.clicks import (
    Intercepts,
    base_logits,
    click_probability,
    market_effect,
    unknowable_part,
)
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.pages import MEAN_PAGE
from pipelines.simulation.randomness import Floats
from pipelines.simulation.traffic import simulate_traffic, topic_shares
from pipelines.simulation.world import World

SEARCH_WINDOW_DAYS, PROMOTED_WINDOW_DAYS = 14, 30
# Days over five weeks; those from _FULL_WINDOWS on have enough behind them to tell cold from warm.
REFERENCE_DAYS = (2, 7, 11, 16, 20, 24, 28, 31, 34, 36)
_FULL_WINDOWS = 20
_ROWS_PER_DAY = 9_000
_ROUNDS = 12
_STREAM = "calibration"


def expected_window_impressions(world: World, config: SimulationConfig, day: int) -> Floats:
    """Expected promoted and search impressions of every listing in the windows before a day."""
    expected = np.zeros(len(world.catalogue.first_day))
    volumes = (config.search_impressions_per_day, config.promoted_impressions_per_day)
    windows = (SEARCH_WINDOW_DAYS, PROMOTED_WINDOW_DAYS)
    for surface, (volume, window) in enumerate(zip(volumes, windows, strict=True)):
        topic_share = topic_shares(world, surface)
        for past in range(max(day - window, 0), day):
            exposure = world.exposure(past, surface)
            weight = np.diff(exposure.cumulative)
            topic = world.catalogue.topic[exposure.listing]
            share = weight / np.bincount(topic, weights=weight)[topic]
            # A page shows a listing once, which takes from the most popular.
            shown = topic_share[topic] * -np.expm1(-MEAN_PAGE[surface] * share)
            expected[exposure.listing] += volume * shown / shown.sum()
    return expected


@dataclass(frozen=True)
class _Sample:
    """Impressions of the reference days on one surface: logits without intercepts.

    ``seen_before`` is infinite on days without full windows.
    """

    logit: Floats
    newness: Floats
    seen_before: Floats


def _sample(world: World, config: SimulationConfig, surface: int) -> _Sample:
    logits, newness, seen_before = [], [], []
    for day in REFERENCE_DAYS:
        traffic = simulate_traffic(world, config, day, surface, _ROWS_PER_DAY, _STREAM)
        logit, new = base_logits(world, config, traffic)
        logit += unknowable_part(traffic, config, _STREAM)
        # The rates are meant for the market's middle, not for the reference week's mood.
        logits.append(logit - market_effect(config, day))
        newness.append(new)
        seen = np.full(_ROWS_PER_DAY, np.inf)
        if surface == 1 and day >= _FULL_WINDOWS:
            seen = expected_window_impressions(world, config, day)[traffic.listing]
        seen_before.append(seen)
    return _Sample(np.concatenate(logits), np.concatenate(newness), np.concatenate(seen_before))


def calibrate(world: World, config: SimulationConfig) -> tuple[Intercepts, int]:
    """Intercepts for the configured click rates, and the threshold of cold.

    Cold is the smallest whole number of window impressions below which lies at least
    ``cold_traffic_share`` of the promoted traffic of the reference days. The fixed point
    ``b += ln(target / mean)`` is exact where p is small and converges in a few rounds elsewhere.
    """
    search, promoted = (_sample(world, config, surface) for surface in (0, 1))
    seen_before = promoted.seen_before[np.isfinite(promoted.seen_before)]
    quantile = float(np.quantile(seen_before, config.cold_traffic_share))
    threshold = int(np.floor(quantile)) + 1
    cold = promoted.seen_before < threshold
    market = config.market
    intercepts = Intercepts(
        search=-4.0, promoted=-4.0, newness=0.5 if market is None else market.newness
    )
    for _ in range(_ROUNDS):
        p_search = click_probability(search.logit, search.newness, 0, intercepts)
        p_promoted = click_probability(promoted.logit, promoted.newness, 1, intercepts)
        to_all = float(np.log(config.promoted_click_rate / p_promoted.mean()))
        to_cold = float(np.log(p_promoted[cold].mean() / config.cold_click_rate)) + to_all
        if market is not None:
            to_cold = 0.0
        effect = float(np.average(promoted.newness[cold], weights=p_promoted[cold]))
        intercepts = Intercepts(
            search=intercepts.search + float(np.log(config.search_click_rate / p_search.mean())),
            promoted=intercepts.promoted + to_all,
            newness=float(np.clip(intercepts.newness + to_cold / max(effect, 0.05), -3.0, 3.0)),
        )
    return intercepts, threshold

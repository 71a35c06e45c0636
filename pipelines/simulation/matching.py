"""How well a listing's title matches the query it is shown for."""

from __future__ import annotations

import numpy as np

from pipelines.simulation.randomness import Ints
from pipelines.simulation.traffic import Traffic
from pipelines.simulation.world import World


def matched_words(world: World, traffic: Traffic) -> tuple[Ints, Ints]:
    """Words of the query that stand in the title, and words of the query; 0 without a query.

    Returns
    -------
    tuple of arrays (impressions,)
    """
    words = world.audience.query_words[traffic.query]
    present = (words >= 0) & (traffic.query >= 0)[:, None]
    word = np.maximum(words, 0)
    bits = world.title_bits[traffic.listing[:, None], word >> 3]
    matched = ((bits >> (word & 7).astype(np.uint8)) & 1).astype(np.bool_) & present
    return matched.sum(axis=1), present.sum(axis=1)

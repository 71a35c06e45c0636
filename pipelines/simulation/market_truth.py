"""What a drawn market is made of, kept beside its truth: its numbers and all planted effects."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.simulation.audience import COUNTRIES, DEVICES
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.landing import write_atomically, write_parquet
from pipelines.simulation.pages import PAGE_TYPES, SURFACES
from pipelines.simulation.planted import Planted
from pipelines.simulation.randomness import Floats
from pipelines.simulation.world import World

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def write_market_truth(world: World, config: SimulationConfig, truth: Path) -> None:
    """Write ``market.json``, ``listings.parquet`` and ``effects.parquet``.

    ``market.json`` holds the drawn numbers (``market``), the settings that were drawn or given
    (``settings``), and for the effects of ids and words the deviation that their values happen to
    have (``realized``). ``listings.parquet`` has a row for each listing of the days: own, content,
    search and promoted, which add up to its static logit on a surface; ``effects.parquet`` a row
    for each value of the other effects.
    """
    planted = world.planted
    if planted is None or config.market is None:
        return
    by_name = planted_effects(world, planted)
    arrived = np.flatnonzero(world.catalogue.first_day < config.days)
    listings = pa.table(
        {
            "listing_id": world.names["listing"].take(pa.array(arrived)),
            "category": pa.array(world.vocabulary.category_paths).take(
                pa.array(world.catalogue.category[arrived])
            ),
            "own": planted.own[arrived],
            "content": planted.content[arrived],
            "search": planted.listing_surface[0, arrived],
            "promoted": planted.listing_surface[1, arrived],
        }
    )
    effects = pa.concat_tables(
        pa.table({"effect": pa.array([name] * len(values)), "value": keys, "logit": values})
        for name, (keys, values) in by_name.items()
    )
    realized = {"listing": float(planted.own[arrived].std())} | {
        name: float(values.std()) for name, (_, values) in by_name.items()
    }
    content = {
        "market": config.market.model_dump(mode="json"),
        "settings": {name: value for name, value in config.settings().items() if name != "market"},
        "realized": realized,
    }

    def write(draft: Path) -> None:
        draft.write_text(json.dumps(content, indent=1) + "\n")

    write_atomically(truth / "market.json", write)
    write_atomically(truth / "listings.parquet", partial(write_parquet, listings))
    write_atomically(truth / "effects.parquet", partial(write_parquet, effects))


def planted_effects(world: World, planted: Planted) -> dict[str, tuple[pa.Array, Floats]]:
    """Names of values and their logits, by effect."""
    words = pa.array(world.vocabulary.words)
    leaves = pa.array(world.vocabulary.category_paths)
    paths = [path.split(" > ") for path in world.vocabulary.category_paths]
    places = pa.array([str(place) for place in range(1, planted.position.shape[1] + 1)])
    levels = planted.levels
    tops, branches = (
        pa.array([" > ".join(paths[leaf][:depth]) for leaf in np.unique(level, True)[1]])
        for depth, level in ((1, levels.top), (2, levels.branch))
    )
    parts = planted.content_parts
    return {
        "word": (words, parts["word"]),
        "tag": (words, parts["tag"]),
        "shop": (world.names["shop"], parts["shop"][: len(world.names["shop"])]),
        "category_top": (tops, parts["category_top"]),
        "category_branch": (branches, parts["category_branch"]),
        "category_leaf": (leaves, parts["category_leaf"]),
        "user": (world.names["user"], planted.user),
        "query": (world.names["query"], planted.query_own),
        "query_word": (words, planted.query_word),
        "device": (pa.array(DEVICES), planted.device),
        "country": (pa.array(COUNTRIES), planted.country),
        "page_type": (pa.array(PAGE_TYPES), planted.page_type),
        "weekday": (pa.array(WEEKDAYS), planted.weekday),
        "leaf_surface": _with_surface(leaves, planted.leaf_surface),
        "device_surface": _with_surface(pa.array(DEVICES), planted.device_surface),
        "position_with_slope": _with_surface(places, planted.position),
    }


def _with_surface(values: pa.Array, effects: Floats) -> tuple[pa.Array, Floats]:
    """Names and logits of pairs of a surface and a value, search first."""
    names = [f"{surface} x {value}" for surface in SURFACES for value in values.to_pylist()]
    return pa.array(names), effects.ravel()

"""Learnt standard deviations of the joint model against those that a market was planted with."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from tests.benchmarks.joint_market import JointMarket, replay
from tests.benchmarks.study.tables import Bar, Finding

# What a namespace holds of a drawn market's effects; independent ones add up as variances.
PLANTED = {
    "user": ("user",),
    "listing": ("listing", "listing_drift"),
    "query": ("query",),
    "shop": ("shop",),
    "title_word": ("word",),
    "tag": ("tag",),
    "query_word": ("query_word",),
    "user_x_category_1": ("user_category",),
    "category_1": ("category_top",),
    "category_2": ("category_branch",),
    "category": ("category_leaf",),
    "surface_x_category": ("leaf_surface",),
    "surface_x_device": ("device_surface",),
    "device": ("device",),
    "country": ("country",),
    "page_type": ("page_type",),
    "surface_x_country": (),
    "surface_x_page_type": (),
    "stock": (),
}
WITHIN, NOTHING = 0.20, 0.05


def priors(markets: Sequence[JointMarket]) -> Finding:
    """A row a namespace: planted and learnt deviation on each market.

    User, listing and query are to be within 20 %, effects that are 0 below .05; what misses that
    is marked.
    """
    learnt = [_learnt(market) for market in markets]
    planted = [_planted(market) for market in markets]
    rows, bars = [], []
    for name in PLANTED:
        cells, errors = [], []
        for by_learnt, by_planted in zip(learnt, planted, strict=True):
            found, true = by_learnt[name], by_planted[name]
            if true:
                errors.append(np.log(found / true))
            is_held = name in ("user", "listing", "query")
            missed = abs(found / true - 1.0) > WITHIN if true and is_held else False
            missed = missed or (not true and found >= NOTHING)
            cells.append(f"{true:.2f} {found:.2f}{' !' if missed else ''}")
        if errors:
            bars.append(Bar(name, 100.0 * float(np.expm1(np.mean(errors)))))
        rows.append((name, *cells))
    header = ("planted, learnt", *(market.market.name for market in markets))
    return Finding(header, rows, bars, "learnt over planted deviation, less 1, %")


def _learnt(market: JointMarket) -> dict[str, float]:
    """Deviations at the chosen scale when the last judged day begins."""
    state = replay(market).state
    posterior = state.posteriors[state.chosen]
    rows = zip((row.name for row in market.spec.rows), posterior.variance, strict=True)
    kinds = zip((k.name for k in market.spec.kinds), posterior.content_variance, strict=True)
    return {name: float(np.sqrt(variance)) for name, variance in (*rows, *kinds)}


def _planted(market: JointMarket) -> dict[str, float]:
    drawn = json.loads((market.market.place / "truth" / "market.json").read_text())["market"]
    return {
        name: float(np.sqrt(sum(drawn[effect] ** 2 for effect in effects)))
        for name, effects in PLANTED.items()
    }

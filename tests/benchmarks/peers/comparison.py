"""Figures of every model on every market, and what they come to over all markets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr
from scipy.stats import rankdata

from pipelines.models.segments import COLD, MIXED, SEGMENTS, segment_masks
from tests.benchmarks.peers.contenders import PUBLISHED
from tests.benchmarks.peers.markets import JudgedRows
from tests.benchmarks.peers.measured import Cost

HEADER = ("model", *SEGMENTS, "p / truth", "cold", "CPU s", "GB")
SUMMARY_HEADER = (
    "model", *SEGMENTS, "to published", "cold", "mean rank", "cold", "CPU s", "GB",
)  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """A model on a market: excess log loss in nats and promised over true clicks by segment."""

    excess: dict[str, float]
    ratio: dict[str, float]
    cost: Cost


def figures(p: npt.NDArray[np.float64], rows: JudgedRows, cost: Cost) -> Figures:
    """Judge probabilities; the excess is the mean of KL(truth || p)."""
    excess, ratio = {}, {}
    for segment, mask in segment_masks(rows.is_cold).items():
        t, q = rows.truth[mask], p[mask]
        excess[segment] = float(np.mean(rel_entr(t, q) + rel_entr(1.0 - t, 1.0 - q)))
        ratio[segment] = float(q.sum() / t.sum())
    return Figures(excess, ratio, cost)


def market_rows(by_model: dict[str, Figures]) -> list[tuple[str, ...]]:
    """Cells of a market's table, as HEADER names them, excess in 1e-5 nats."""
    return [
        (
            model,
            *(f"{found.excess[segment] * 1e5:.1f}" for segment in SEGMENTS),
            f"{found.ratio[MIXED]:.3f}",
            f"{found.ratio[COLD]:.3f}",
            f"{found.cost.cpu:.0f}",
            f"{found.cost.bytes / 1e9:.2f}",
        )
        for model, found in by_model.items()
    ]


def summary_rows(by_market: list[dict[str, Figures]]) -> list[tuple[str, ...]]:
    """Cells of the summary, as SUMMARY_HEADER names them.

    Mean excess in 1e-5 nats; geometric mean of the excess over that of the published
    probabilities; mean rank among all models, 1 the best; CPU seconds of all markets; most memory.
    """
    models = list(by_market[0])
    excess = {
        segment: np.array(
            [[found[model].excess[segment] for model in models] for found in by_market]
        )
        for segment in SEGMENTS
    }
    ranks = {segment: rankdata(excess[segment], axis=1).mean(axis=0) for segment in (MIXED, COLD)}
    rows = []
    for number, model in enumerate(models):
        cells = [f"{excess[segment][:, number].mean() * 1e5:.1f}" for segment in SEGMENTS]
        for segment in (MIXED, COLD):
            published = "–"
            if PUBLISHED in models:
                ours = excess[segment][:, models.index(PUBLISHED)]
                ratio = np.exp(np.mean(np.log(excess[segment][:, number] / ours)))
                published = f"{ratio:.2f}"
            cells.append(published)
        cells += [f"{ranks[segment][number]:.1f}" for segment in (MIXED, COLD)]
        costs = [found[model].cost for found in by_market]
        cells.append(f"{sum(cost.cpu for cost in costs):.0f}")
        cells.append(f"{max(cost.bytes for cost in costs) / 1e9:.2f}")
        rows.append((model, *cells))
    return rows

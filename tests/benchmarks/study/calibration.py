"""Promised against true clicks, and what is published against each model alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.models.segments import COLD, MIXED
from tests.benchmarks.joint_market import JointMarket, studied
from tests.benchmarks.peers.comparison import Figures, figures
from tests.benchmarks.peers.contenders import in_order
from tests.benchmarks.peers.markets import JudgedRows, judged_rows
from tests.benchmarks.peers.measured import Cost
from tests.benchmarks.study.tables import Bar, Finding
from tests.benchmarks.study.variants import change

Floats = npt.NDArray[np.float64]

_BINS = 10
_NAMES = {
    "p_joint": "joint model", "p_click": "published", "p_ensemble": "pair", "p_content": "content",
    "p_historical": "historical", "p_baseline": "smoothed rate by position",
}  # fmt: skip


def scored(market: JointMarket) -> tuple[JudgedRows, npt.NDArray[np.object_], dict[str, Floats]]:
    """Judged rows, the day of each, and every probability that the whole chain has for them."""
    chain = studied(market.market)
    chain.make("evaluate_models", *market.market.judged)
    table = chain.tables.read_arrow("scored_traffic", market.market.judged)
    rows = judged_rows(market.market)
    kept = table.select(["impression_id", *(name for name in _NAMES)])
    at = pc.index_in(pa.array(rows.impression_id, pa.string()), table["impression_id"])
    day = np.asarray(table["ds"].take(at).to_pylist(), dtype=object)
    return rows, day, in_order("product", kept, rows)


def stack(markets: Sequence[JointMarket]) -> Finding:
    """Excess of every model, published included; a market a column, mixed and cold."""
    found: list[dict[str, Figures]] = []
    for market in markets:
        rows, _, by_name = scored(market)
        found.append({n: figures(p, rows, Cost(0.0, 0)) for n, p in by_name.items()})
    joint = [by_name["p_joint"] for by_name in found]
    table, bars = [], []
    for name, label in _NAMES.items():
        own = [by_name[name] for by_name in found]
        by = change(joint, own)
        cells = [f"{f.excess[MIXED] * 1e5:.1f} {f.excess[COLD] * 1e5:.1f}" for f in own]
        table.append((label, *cells, f"{by.mixed:+.1%}", f"{by.cold:+.1%}"))
        bars.append(Bar(label, 100.0 * by.mixed))
    names = (market.market.name for market in markets)
    header = ("mixed, cold", *names, "over joint: mixed", "cold")
    return Finding(header, table, bars, "excess over that of the joint model, mixed, %")


@dataclass(frozen=True)
class Promise:
    """How far promises on a market are from the truth.

    Attributes
    ----------
    by_day : numpy.ndarray of float64, shape (days,)
        Promised over true clicks.
    error : float
        As of `calibration_error`.
    promised, true : dict of str to float
        Clicks by segment, mixed and cold.
    """

    by_day: Floats
    error: float
    promised: dict[str, float]
    true: dict[str, float]

    @property
    def off(self) -> float:
        """Root mean square of what days are off by."""
        return float(np.sqrt(np.mean((self.by_day - 1.0) ** 2)))

    @property
    def cells(self) -> tuple[str, ...]:
        """Of a row of the table."""
        ratios = (self.promised[segment] / self.true[segment] for segment in (MIXED, COLD))
        return f"{self.off:.1%}", f"{self.error:.1%}", *(f"{ratio:.3f}" for ratio in ratios)


def promise(p: Floats, rows: JudgedRows, day: npt.NDArray[np.object_]) -> Promise:
    """Compare probabilities with the truth."""
    days = [day == d for d in sorted(set(day))]
    masks = {MIXED: np.ones(len(p), dtype=bool), COLD: rows.is_cold}
    return Promise(
        np.array([p[own].sum() / rows.truth[own].sum() for own in days]),
        calibration_error(p, rows.truth),
        {segment: float(p[mask].sum()) for segment, mask in masks.items()},
        {segment: float(rows.truth[mask].sum()) for segment, mask in masks.items()},
    )


def all_of(parts: Sequence[Promise]) -> Promise:
    """Of several markets: their days, their mean error, their clicks."""
    return Promise(
        np.concatenate([part.by_day for part in parts]),
        float(np.mean([part.error for part in parts])),
        {segment: sum(part.promised[segment] for part in parts) for segment in (MIXED, COLD)},
        {segment: sum(part.true[segment] for part in parts) for segment in (MIXED, COLD)},
    )


def calibration(markets: Sequence[JointMarket]) -> Finding:
    """How far promises are from the truth; a row a market and model, and all markets."""
    found: dict[str, list[Promise]] = {"p_joint": [], "p_click": []}
    table, bars = [], []
    for market in markets:
        rows, day, by_name = scored(market)
        for name, parts in found.items():
            parts.append(promise(by_name[name], rows, day))
            table.append((f"{market.market.name}, {_NAMES[name]}", *parts[-1].cells))
        bars.append(Bar(market.market.name, 100.0 * found["p_click"][-1].off))
    table += [(f"all, {_NAMES[name]}", *all_of(parts).cells) for name, parts in found.items()]
    header = ("", "days off by, rms", "ECE over click rate", "p / truth: mixed", "cold")
    return Finding(header, table, bars, "published promise of a day off by, root mean square, %")


def calibration_error(p: Floats, truth: Floats) -> float:
    """Expected calibration error against the truth, over the mean truth.

    The mean over rows of how far p and truth are apart on the mean of ten equal groups by p.
    """
    groups = np.array_split(np.argsort(p, kind="stable"), _BINS)
    gaps = [abs(p[group].sum() - truth[group].sum()) for group in groups]
    return float(np.sum(gaps) / truth.sum())

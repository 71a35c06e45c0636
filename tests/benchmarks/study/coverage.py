"""How often intervals hold the planted truth: of impressions by probability, and of listings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from tests.benchmarks.joint_market import JointMarket, learnt_days
from tests.benchmarks.study.tables import Bar, Finding

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NINE_TENTHS = 1.6448536269514722
"""Standard errors on either side that hold nine tenths of a normal distribution."""
_DECILES = 10
_ENOUGH = 100
"""Rows of a listing over which what is not the listing's averages out."""


@dataclass(frozen=True)
class Errors:
    """Promoted rows of the judged days, shape (n,) each.

    Attributes
    ----------
    predicted, true : numpy.ndarray of float64
        Logits.
    variance, of_listing : numpy.ndarray of float64
        Of the logit, and of what the row's listing brings to it.
    listing : numpy.ndarray of int64
        Its id.
    is_cold : numpy.ndarray of bool
    """

    predicted: Floats
    true: Floats
    variance: Floats
    of_listing: Floats
    listing: npt.NDArray[np.int64]
    is_cold: Flags

    @property
    def error(self) -> Floats:
        """True logit less the middle of the posterior, as a server's `Scores.at` has it."""
        shift = 0.5 * self.variance * (1.0 - 2.0 * expit(self.predicted))
        return self.true - (self.predicted - shift)

    def held(self, rows: Flags | npt.NDArray[np.int64]) -> float:
        """Share of rows whose truth lies within nine tenths of the posterior."""
        return float(np.mean(self.error[rows] ** 2 < NINE_TENTHS**2 * self.variance[rows]))

    def listings_held(self) -> float:
        """The same of listings with enough rows: the mean of their errors, less that of all."""
        _, of, rows = np.unique(self.listing, return_inverse=True, return_counts=True)
        error = np.bincount(of, self.error) / rows
        variance = np.bincount(of, self.of_listing) / rows
        enough = rows >= _ENOUGH
        error = error[enough] - np.average(error[enough], weights=rows[enough])
        return float(np.mean(error**2 < NINE_TENTHS**2 * variance[enough]))


def errors(market: JointMarket) -> Errors:
    """Learn a market's days, and predict the judged ones."""
    columns = market.registry.columns
    brought = [number for number, column in enumerate(columns) if column.scope != "request"]
    listing = market.registry.column_number("listing")
    parts: list[tuple[npt.NDArray[np.generic], ...]] = []
    for day, model in learnt_days(market.spec, market.days):
        if not market.is_judged(day):
            continue
        scale, own = model.state.chosen, day.is_promoted
        located = model.located(day.ids[own])
        variances = model.row_variances(*located, model.variances(scale), scale)
        parts.append(
            (
                model.sums(located[1], model.means(scale)),
                logit(day.truth[own]),
                variances.sum(axis=1),
                variances[:, brought].sum(axis=1),
                day.ids[own, listing],
                day.is_cold[own],
            )
        )
    return Errors(*(np.concatenate(column) for column in zip(*parts, strict=True)))  # type: ignore[arg-type]


def coverage(markets: Sequence[JointMarket]) -> Finding:
    """Share of truths within intervals of nine tenths; a market a column."""
    found = [errors(market) for market in markets]
    deciles = [np.array_split(np.argsort(own.predicted, kind="stable"), _DECILES) for own in found]
    table: list[tuple[str, ...]] = []
    bars: list[Bar] = []

    def add(label: str, shares: Sequence[float]) -> None:
        mean = float(np.mean(shares))
        table.append((label, *(f"{share:.2f}" for share in shares), f"{mean:.2f}"))
        bars.append(Bar(label, 100.0 * mean))

    for k in range(_DECILES):
        groups = [own.held(rows[k]) for own, rows in zip(found, deciles, strict=True)]
        add(f"decile {k + 1} of probability", groups)
    add("cold", [own.held(own.is_cold) for own in found])
    add("warm", [own.held(~own.is_cold) for own in found])
    add(f"listings of {_ENOUGH} rows or more", [own.listings_held() for own in found])
    off = [own.error for own in found]
    table.append(
        ("error: root mean square", *(f"{np.sqrt(np.mean(own**2)):.2f}" for own in off), "")
    )
    deviations = [np.sqrt(np.mean(own.variance)) for own in found]
    table.append(("standard error: the same", *(f"{own:.2f}" for own in deviations), ""))
    header = ("rows", *(market.market.name for market in markets), "mean")
    return Finding(header, table, bars, "truths within intervals of nine tenths, %")

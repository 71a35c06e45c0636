"""Studies in which one choice of the joint model is changed, everything else as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipelines.features.joint_checks import surface_cross
from pipelines.models.joint_state import JointSpec, JointState, RowNamespace
from pipelines.models.segments import COLD, MIXED
from pipelines.samples.balanced import non_click_rate
from pipelines.splitmix import mix_bits
from tests.benchmarks.joint_market import JointDay, JointMarket, replay
from tests.benchmarks.peers.comparison import Figures
from tests.benchmarks.study.tables import Bar, Finding

# A weight of this deviation stays at nothing.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Variant:
    """One way to learn a market; what is not given is as the product has it.

    Attributes
    ----------
    days : sequence of JointDay, optional
        Instead of all days of the market.
    between : callable
        What is done to a state before the next day begins.
    """

    label: str
    spec: JointSpec | None = None
    days: Sequence[JointDay] | None = None
    between: Callable[[JointState], JointState] = lambda state: state


def namespaces(market: JointMarket) -> Iterator[Variant]:
    """Each registered namespace left out: its own weights, its cross with surface, its absence."""
    names = [registered.name for registered in market.registry.namespaces]
    crosses = {surface_cross(name) for name in names}
    for name in names:
        if name not in ("bias", "surface", *crosses):
            own = {name, f"{name}_is_unknown", surface_cross(name)}
            yield Variant(name, without(market.spec, own))


def without(spec: JointSpec, names: set[str]) -> JointSpec:
    """A spec in which some namespaces can hold nothing."""
    return replace(
        spec,
        rows=tuple(
            replace(row, prior=_NOTHING, is_learnt=False, walk=0.0) if row.name in names else row
            for row in spec.rows
        ),
        kinds=tuple(
            replace(kind, prior=_NOTHING) if kind.name in names else kind for kind in spec.kinds
        ),
    )


def ratio(market: JointMarket) -> Iterator[Variant]:
    """All clicks, and so many non-clicks a click by a hash, instead of all rows."""
    for number in (40, 20):
        days = [sampled(day, number) for day in market.days]
        yield Variant(f"{number} non-clicks a click", days=days)


def sampled(day: JointDay, number: float) -> JointDay:
    """A day of which a sample is learnt, all of it predicted."""
    rate = non_click_rate(len(day.clicked), int(day.clicked.sum()), ratio=number)
    uniform = (mix_bits(day.order.view(np.uint64)) >> np.uint64(11)) * 2.0**-53
    is_learnt = (day.clicked == 1) | (uniform < rate)
    return replace(day, is_learnt=is_learnt, offset=np.full(len(uniform), -np.log(rate)))


def history(market: JointMarket) -> Iterator[Variant]:
    """Days of logs before the first judged day; each later one has one more."""
    first = len(market.days) - len(market.market.judged)
    for count in (21, 14, 10, 7, 5, 3, 2, 1):
        if count < first:
            yield Variant(f"{count} days", days=market.days[first - count :])


def forgetting(market: JointMarket) -> Iterator[Variant]:
    """Evidence that fades, and weights that walk."""
    spec = market.spec
    for share in (0.995, 0.99, 0.98):
        yield Variant(f"evidence x {share} a day", between=partial(faded, share=share))
    yield Variant(
        "nothing walks", replace(spec, rows=_walking(spec, {r.name for r in spec.rows}, 0))
    )
    for names, step in (
        ({"category", "surface_x_category"}, 0.03), ({"user"}, 0.02),
        ({"bias", "surface"}, 0.02), ({"bias", "surface"}, 0.05),
    ):  # fmt: skip
        rows = _walking(spec, names, step)
        yield Variant(f"{' and '.join(sorted(names))} walk {step} a day", replace(spec, rows=rows))


def _walking(spec: JointSpec, names: set[str], step: float) -> tuple[RowNamespace, ...]:
    return tuple(replace(row, walk=step) if row.name in names else row for row in spec.rows)


def faded(state: JointState, share: float) -> JointState:
    """A state whose evidence counts less."""
    return replace(state, evidence=state.evidence * share)


def scales(market: JointMarket) -> Iterator[Variant]:
    """Registered variances times a number, instead of what the logs choose; what they count."""
    spec = market.spec
    for scale in (0.25, 1.0, 4.0, 16.0):
        yield Variant(f"{scale:g}", replace(spec, scales=(scale,)))
    fixed = tuple(replace(row, is_learnt=False) for row in spec.rows)
    yield Variant("1, variances of rows as registered", replace(spec, rows=fixed, scales=(1.0,)))
    for strength in (1.0, 3.0, 30.0):
        label = f"registered variances count {strength:g} coordinates"
        yield Variant(label, replace(spec, strength=strength))


def coordinates(market: JointMarket) -> Iterator[Variant]:
    """So many coordinates known at most, as a share of what the days bring."""
    count = len(replay(market).state.ids)
    for share in (0.7, 0.5, 0.3, 0.1):
        yield Variant(f"{share:.0%} known", replace(market.spec, most=int(share * count)))


STUDIES: Mapping[str, Callable[[JointMarket], Iterator[Variant]]] = {
    "namespaces": namespaces,
    "ratio": ratio,
    "history": history,
    "forgetting": forgetting,
    "scales": scales,
    "coordinates": coordinates,
}


@dataclass(frozen=True)
class Change:
    """A variant's excess over the first one's, over all markets that have it.

    Attributes
    ----------
    mixed, cold : float
        Change of the geometric mean, 0 for none.
    worst, best : float
        The largest and the smallest change of mixed on a market.
    """

    mixed: float
    cold: float
    worst: float
    best: float


def change(first: Sequence[Figures], other: Sequence[Figures]) -> Change:
    """How a variant differs from the first, market by market."""
    logs = {
        segment: np.array([np.log(found.excess[segment]) for found in other])
        - np.array([np.log(found.excess[segment]) for found in first])
        for segment in (MIXED, COLD)
    }
    mixed = np.expm1(logs[MIXED])
    return Change(
        float(np.expm1(logs[MIXED].mean())),
        float(np.expm1(logs[COLD].mean())),
        float(mixed.max()),
        float(mixed.min()),
    )


def compared(name: str, markets: Sequence[JointMarket]) -> Finding:
    """Run a study on markets; a row a variant, the product's own way first."""
    own = [replay(market).figures for market in markets]
    found: dict[str, dict[int, Figures]] = {}
    for number, market in enumerate(markets):
        for variant in STUDIES[name](market):
            made = replay(market, variant.spec, variant.days, variant.between)
            found.setdefault(variant.label, {})[number] = made.figures
    rows = [("as it is", *_means(own), "", "", "", *_ratios(own))]
    bars = []
    for label, by_market in found.items():
        others = list(by_market.values())
        by = change([own[number] for number in by_market], others)
        single = f"{by.best:+.1%} to {by.worst:+.1%}"
        rows.append(
            (
                label,
                *_means(others),
                f"{by.mixed:+.1%}",
                f"{by.cold:+.1%}",
                single,
                *_ratios(others),
            )
        )
        bars.append(Bar(label, 100.0 * by.mixed))
    header = (
        "", "mixed", "cold", "change, mixed", "cold", "mixed, market by market",
        "p / truth: mixed", "cold",
    )  # fmt: skip
    return Finding(header, rows, bars, "change of the excess, mixed, %")


def _means(figures: Sequence[Figures]) -> list[str]:
    return [
        f"{1e5 * np.mean([found.excess[segment] for found in figures]):.1f}"
        for segment in (MIXED, COLD)
    ]


def _ratios(figures: Sequence[Figures]) -> list[str]:
    """Geometric means of promised over true clicks."""
    return [
        f"{np.exp(np.mean([np.log(found.ratio[segment]) for found in figures])):.3f}"
        for segment in (MIXED, COLD)
    ]

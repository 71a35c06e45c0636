"""Measurements of rules about groups: what a day holds of each, and how far off that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

import mmh3
import numpy as np

from pipelines.features.hashing import HASH_SEED
from pipelines.quality.comparison_rules import (
    EvidenceRule,
    HistoryRule,
    MixRule,
    PromisesRule,
    RatesRule,
    StabilityRule,
)
from pipelines.quality.context import Context, blank, judged_from
from pipelines.quality.evidence import Evidence
from pipelines.quality.group_rules import ClicksRule, GroupsRule, HashingRule, LeakRule
from pipelines.quality.groups import (
    Deviation,
    GroupCounts,
    Panel,
    deviations,
    dispersion,
    expected_by_mix,
    expected_by_rates,
)
from pipelines.quality.leaks import held_out_auc
from pipelines.quality.results import Measurement
from pipelines.quality.shifts import decomposition, stability_index

# Deviations named in words; least likely first.
_NAMED = 3
# A token and the hash that it has had since the first model.
_KNOWN = ("tag=vintage", 2078926925)


def count_groups(rule: GroupsRule, part: str, context: Context) -> Measurement:
    """Count rows and hits of every group; the number of groups is the value."""
    measured = replace(blank(rule, part), rows=context.rows(rule, part))
    if not measured.rows:
        return replace(measured, reason="there are no such rows")
    counts = GroupCounts(
        context.aggregate(rule, part, "value"), context.aggregate(rule, part, "hits") or {}
    ).largest(rule.most)
    return replace(measured, value=float(len(counts.base)), state=counts.written)


def count_clicks(rule: ClicksRule, part: str, context: Context) -> Measurement:
    """Read clicks and promised clicks of every group; the number of groups is the value."""
    found = context.aggregate(rule, part, "value") or []
    known = {group: (clicks, promised) for group, clicks, promised in found if promised}
    measured = replace(blank(rule, part), rows=len(known))
    if not known:
        return replace(measured, reason="nothing was promised")
    counts = GroupCounts(
        {group: float(promised) for group, (_, promised) in known.items()},
        {group: float(clicks) for group, (clicks, _) in known.items()},
    )
    return replace(measured, value=float(len(known)), state=counts.written)


def compare_groups(rule: MixRule | RatesRule, part: str, context: Context) -> Measurement:
    """Count the groups that the last days do not let expect."""
    measured, days, panel = _with_last_days(rule, part, context)
    if panel is None:
        return measured
    of_kind = expected_by_mix if isinstance(rule, MixRule) else expected_by_rates
    observed, expected = of_kind(panel)
    if not observed[-1].sum():
        return replace(measured, reason="there are no hits")
    scatter = dispersion(observed, expected)
    found = deviations(
        panel, observed, expected, scatter=scatter, tolerance=rule.tolerance,
        chance=rule.chance, side=rule.side,
    )  # fmt: skip
    judged = replace(
        measured,
        value=float(len(found)),
        baseline=float(len(panel.groups)),
        note=_named(found, len(panel.groups), f"of {days} days, scatter {scatter:.3g}"),
    )
    return judged_from(judged, rule.min_rows)


def compare_promises(rule: PromisesRule, part: str, context: Context) -> Measurement:
    """Count the groups whose clicks are not what was promised."""
    measured, _, panel = _with_last_days(rule, part, context)
    if panel is None:
        return measured
    past, clicks = panel.base[:-1].sum(axis=0), panel.hits[:-1].sum(axis=0)
    # Scatter is about each group's own usual ratio: what it always is off by is no scatter.
    usual = panel.base * np.where(past > 0, clicks / np.maximum(past, 1e-9), 1.0)
    scatter = dispersion(panel.hits, usual)
    found = deviations(
        panel, panel.hits, panel.base, scatter=scatter, tolerance=rule.tolerance,
        chance=rule.chance, side=rule.side, is_estimate=False,
    )  # fmt: skip
    judged = replace(
        measured,
        value=float(len(found)),
        baseline=float(len(panel.groups)),
        note=_named(found, len(panel.groups), f"as promised, scatter {scatter:.3g}"),
    )
    return judged_from(judged, rule.min_rows)


def measure_stability(rule: StabilityRule, part: str, context: Context) -> Measurement:
    """Measure how far the groups have moved from the last days."""
    measured, days, panel = _with_last_days(rule, part, context)
    if panel is None:
        return measured
    index = stability_index(panel, rule.bins)
    return judged_from(replace(measured, value=index, note=f"{days} days"), rule.min_rows)


def gather_evidence(rule: EvidenceRule, part: str, context: Context) -> Measurement:
    """Add the day's clicks to the evidence of the days before."""
    source = context.taken[rule.of, part]
    measured = replace(blank(rule, part), rows=source.rows)
    if not source.state:
        return replace(measured, reason=f"{rule.of}: {source.reason}")
    today = GroupCounts.read(source.state)
    kept = context.past.states.get((context.rules.table, rule.name, part), {})
    before = max((day for day in kept if day < context.day), default=None)
    evidence = (Evidence({}) if before is None else Evidence.read(kept[before])).add(
        today.hits, today.base, tolerance=rule.tolerance, dispersion=rule.dispersion
    )
    name = evidence.strongest
    note = (
        f"most for {name}: today {today.hits.get(name, 0):.6g} clicks where "
        f"{today.base.get(name, 0):.4g} were promised; "
        f"{'no earlier day' if before is None else f'gathered since before {before}'}"
    )
    return replace(measured, value=evidence.total, state=evidence.written, note=note)


def measure_leak(rule: LeakRule, part: str, context: Context) -> Measurement:
    """Find the feature that tells the label apart best."""
    measured = replace(blank(rule, part), rows=context.rows(rule, part))
    if not measured.rows:
        return replace(measured, reason="there are no such rows")
    found = {}
    prefix = f"{rule.name}|{part}|value:"
    for column, cells in context.row.items():
        if column.startswith(prefix) and cells:
            area = held_out_auc(cells, rule.min_hits)
            if area is not None:
                found[column.removeprefix(prefix)] = area
    if not found:
        return replace(measured, reason=f"fewer than {rule.min_hits} hits in a half of the rows")
    best = max(sorted(found), key=lambda name: found[name])
    note = f"{best} alone, the best of {len(found)} features"
    return judged_from(replace(measured, value=found[best], note=note), rule.min_rows)


def measure_hashing(rule: HashingRule, part: str, context: Context) -> Measurement:
    """Compare the values that share a slot with those of a hash without fault."""
    values = context.rows(rule, part)
    measured = replace(blank(rule, part), rows=values)
    if not values:
        return replace(measured, reason="there are no such rows")
    tokens, stored = (context.aggregate(rule, part, what) for what in ("tokens", "slots"))
    for token, hashed in zip((*tokens, _KNOWN[0]), (*stored, _KNOWN[1]), strict=True):
        if mmh3.hash(token, HASH_SEED) != hashed:
            return replace(measured, value=math.inf, note=f"{token!r} is hashed to {hashed}")
    slots = float(1 << rule.bits)
    lost = values - int(context.aggregate(rule, part, "value"))
    by_chance = values + slots * np.expm1(values * np.log1p(-1.0 / slots))
    note = f"{lost} of {values} values share a slot of 2^{rule.bits}, {by_chance:.1f} by chance"
    # Five standard deviations of a rare count are given free.
    free = by_chance + 5.0 * np.sqrt(by_chance) + 5.0
    judged = replace(measured, value=float(lost / free), baseline=float(by_chance), note=note)
    return judged_from(judged, rule.min_rows)


def split_of_change(rule: HistoryRule, part: str, context: Context) -> str:
    """Say of each grouping how much of a change of the rate is mix and how much is rate."""
    said = []
    for name in rule.split_by:
        source = context.taken[name, part]
        days = context.states(rule.name, name, part)
        if not source.state or not days:
            continue
        panel = _panel(days.values(), source.state)
        level = float(panel.hits[:-1].sum() / max(panel.base[:-1].sum(), 1.0))
        mix, rate, group, own = decomposition(panel, level)
        said.append(f"by {name}: mix {mix:+.1%}, rate {rate:+.1%}, most {group} {own:+.1%}")
    return "; ".join(said)


def _with_last_days(
    rule: MixRule | RatesRule | PromisesRule | StabilityRule, part: str, context: Context
) -> tuple[Measurement, int, Panel | None]:
    """What is known before a rule judges: how many earlier days, and these with the day.

    No panel where there is nothing to judge; the measurement then says why.
    """
    source = context.taken[rule.of, part]
    measured = replace(blank(rule, part), rows=source.rows)
    if not source.state:
        return replace(measured, reason=f"{rule.of}: {source.reason}"), 0, None
    days = context.states(rule.name, rule.of, part)
    if len(days) < context.min_days:
        reason = f"{len(days)} earlier days, at least {context.min_days} are needed"
        return replace(measured, reason=reason), len(days), None
    return measured, len(days), _panel(days.values(), source.state)


def _panel(days: Iterable[str], today: str) -> Panel:
    return Panel.of([GroupCounts.read(day) for day in days], GroupCounts.read(today))


def _named(found: Sequence[Deviation], groups: int, against: str) -> str:
    if not found:
        return f"all {groups} groups as expected {against}"
    named = "; ".join(str(deviation) for deviation in found[:_NAMED])
    more = f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{len(found)} of {groups} groups outside: {named}{more} ({against})"

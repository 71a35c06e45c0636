"""Why a listing has its number, for a person and for a machine."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.reporting.listing import ListingScore
from pipelines.features.registry import MODELS
from pipelines.quality.wording import number, probability, signed
from pipelines.scores.explain import Term
from pipelines.scores.joint_names import NamedWeight

# Beyond the rounding of the last bits, a stored and a recomputed score are not the same.
_SAME = 1e-12


def listing_json(listing_score: ListingScore) -> dict[str, Any]:
    """Every step as plain values."""
    return {
        "score": listing_score.score,
        "listing": listing_score.listing,
        "window_sums": listing_score.sums,
        "reference": listing_score.reference,
        "explanation": asdict(listing_score.explanation),
        "is_recomputed_equal": is_equal(listing_score),
    }


def is_equal(listing_score: ListingScore) -> bool:
    """Whether the steps give the stored probability."""
    stored: float = listing_score.score["p_click"]
    return abs(listing_score.explanation.recomputed - stored) <= _SAME * stored


def print_listing(console: Console, listing_score: ListingScore, *, limit: int) -> None:
    """Print one listing's score step by step; `limit` features per model, 0 for all."""
    e, score, listing = listing_score.explanation, listing_score.score, listing_score.listing

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    console.print(
        f"\n[bold]{escape(score['listing_id'])}[/]  {escape(listing['title'])}", highlight=False
    )
    say(f"  {listing['category']} · shop {listing['shop_id']} · price {number(listing['price'], 2)}"
        f" · stock {number(listing['quantity'])}")  # fmt: skip
    console.print(
        f"  p_click [bold]{probability(score['p_click'])}[/] on {score['ds']}, {score['segment']}, "
        f"shown {number(score['window_impressions'])} times in the windows, "
        f"models as of {score['model_as_of']}",
        highlight=False,
    )
    p, error = score["p_click"], score["standard_error"]
    # Around the middle of the posterior, as in `pipelines.scorer`: p is its mean.
    odds = p / (1 - p) * math.exp(-0.5 * error**2 * (1 - 2 * p))
    ends = [odds * math.exp(sign * error) for sign in (-1, 1)]
    low, high = (probability(end / (1 + end)) for end in ends)
    say(f"  about {low} to {high} at one standard error ({number(score['standard_error'], 2)})"
        " of the logit")  # fmt: skip
    console.print(_joint(listing_score, limit))
    console.print(_features(listing_score, limit))
    console.print(_terms(listing_score))
    say(f"3. logit {signed(e.logit, 6)} = listing {signed(e.listing_logit, 6)}"
        f" + reference context {signed(e.context_logit, 6)}")  # fmt: skip
    context = ", ".join(
        f"{name} {value}" for name, value in sorted(listing_score.reference.items())
    )
    say(f"   reference context: {context}")
    say(f"   1 / (1 + exp(-logit)) = {probability(e.p_ensemble)}")
    parameters = ", ".join(
        f"{name} {value:.6f}" for name, value in zip("abc", e.map_parameters, strict=False)
    )
    rule = "a ln p - b ln(1 - p) + c" if parameters else "linear between its knots"
    rule += f"; {parameters}" if parameters else ""
    say(f"4. calibration map {e.map_kind}: logit' = {rule}")
    say(f"   p = {probability(e.calibrated)}")
    for place, factor in enumerate(e.factors):
        lead = "5. factors: " if place == 0 else "            "
        say(f"{lead}{factor.field} {factor.value or '(none)'}: x {factor.factor:.6f}")
    verdict = "equal"
    if not is_equal(listing_score):
        verdict = "NOT equal: inputs, configuration or code have changed since"
    say(f"6. p_click {e.recomputed:.12f}, stored {score['p_click']:.12f}: {verdict}")


def _joint(listing_score: ListingScore, limit: int) -> Table:
    """What each value adds to the joint model's logit, the strongest first; then the content."""
    table = Table(
        title="0. the joint model", box=box.SIMPLE_HEAD, title_justify="left", title_style="bold"
    )
    table.add_column("namespace=value", overflow="fold")
    table.add_column("adds", justify="right", no_wrap=True)
    table.add_column("standard error", justify="right", no_wrap=True)
    e = listing_score.explanation

    def add(parts: tuple[NamedWeight, ...], name: str) -> None:
        ordered = sorted(parts, key=lambda part: (-abs(part.weight), part.namespace, part.value))
        shown = ordered[:limit] if limit else ordered
        for part in shown:
            named = f"{part.namespace}={part.value}" if part.value else part.namespace
            table.add_row(escape(named), signed(part.weight, 4), f"{part.standard_error:.4f}")
        rest = ordered[len(shown) :]
        if rest:
            added = math.fsum(part.weight for part in rest)
            table.add_row(f"{len(rest)} more", signed(added, 4), "", style="dim")
        total = math.fsum(part.weight for part in parts)
        error = math.sqrt(math.fsum(part.standard_error**2 for part in parts))
        table.add_row(name, signed(total, 4), f"{error:.4f}", style="bold", end_section=True)

    add(e.joint, "joint, at the reference context")
    if e.joint_contents:
        add(e.joint_contents, "what its content says of the listing")
    return table


def _features(listing_score: ListingScore, limit: int) -> Table:
    e = listing_score.explanation
    table = Table(
        title="1. features, the strongest first",
        box=box.SIMPLE_HEAD, title_justify="left", title_style="bold",
    )  # fmt: skip
    table.add_column("model", no_wrap=True)
    table.add_column("namespace=value", overflow="fold")
    table.add_column("adds", justify="right", no_wrap=True)
    for model in MODELS:
        times = Counter(f for f in e.features if f.model == model)
        added = {feature: count * feature.weight for feature, count in times.items()}
        ordered = sorted(added, key=lambda f: (-abs(added[f]), f.namespace, f.value))
        shown = ordered[:limit] if limit else ordered
        for feature in shown:
            often = f" (x {times[feature]})" if times[feature] > 1 else ""
            named = f"{feature.namespace}={feature.value}{often}"
            table.add_row(model, escape(named), signed(added[feature], 4))
        rest = ordered[len(shown) :]
        if rest:
            total = sum(added[f] for f in rest)
            table.add_row(model, f"{len(rest)} more features", signed(total, 4), style="dim")
        if abs(e.dense[model]) > _SAME:
            table.add_row(model, "text and image vector", signed(e.dense[model], 4), style="dim")
        table.add_row(model, "reference context", signed(e.reference[model], 4), style="dim")
        whole = e.hashed[model] + e.dense[model] + e.reference[model]
        table.add_row(model, f"{model}_listing", signed(whole, 4), style="bold", end_section=True)
    return table


def _terms(listing_score: ListingScore) -> Table:
    table = Table(
        title="2. terms of the published logit",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
    )
    table.add_column("term", no_wrap=True)
    for name in ("value", "weight", "adds"):
        table.add_column(name, justify="right", no_wrap=True)
    e = listing_score.explanation

    def add(terms: tuple[Term, ...], name: str, total: float) -> None:
        for term in terms:
            table.add_row(
                term.name, signed(term.value, 4), signed(term.weight, 4), signed(term.product, 4)
            )
        table.add_row(name, "", "", signed(total, 4), style="bold", end_section=True)

    add(e.terms, "at the reference context", e.logit)
    add(e.context_terms, "what differs from it", sum(term.product for term in e.context_terms))
    return table

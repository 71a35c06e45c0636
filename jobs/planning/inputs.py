"""What several jobs read in the same way: registry, strengths, weights, bases, the stack."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.tables import Tables
from pipelines.days import day_number
from pipelines.features.assemble import Assembler
from pipelines.features.history import Windows
from pipelines.features.prior_strengths import Moments, strengths
from pipelines.features.registry import MODELS, Namespace, of_scope
from pipelines.features.text_basis import TextBasis
from pipelines.memory import give_back_memory
from pipelines.models.listing_part import Models
from pipelines.models.stack import Stack
from pipelines.models.weights import Weights


def registry(config: Config) -> tuple[Namespace, ...]:
    """The registered feature namespaces, those that the source adds last."""
    registered = (*config.features.namespaces, *config.features.more)
    return tuple(Namespace(**namespace.model_dump()) for namespace in registered)


def assembler(config: Config, strengths: dict[tuple[int, str, str], float]) -> Assembler:
    """The assembler of the configured registry.

    Raises
    ------
    UsageError
        The registry is wrong.
    """
    try:
        return Assembler(registry(config), strengths)
    except ValueError as problem:
        raise UsageError(f"configuration: features: {problem}") from None


def windows(config: Config) -> Windows:
    """The configured windows of history."""
    return Windows(config.history.search_days, config.history.promoted_days)


def strengths_of(
    config: Config, day: date, day_moments: Mapping[str, Moments]
) -> dict[tuple[int, str, str], float]:
    """Prior strengths of a day as `read_strengths` gives them, from its moments."""
    limits = config.history
    return {
        (day_number(day), entity, surface): value.strength
        for entity, entity_moments in day_moments.items()
        for surface, value in strengths(
            entity_moments, min_strength=limits.min_strength, max_strength=limits.max_strength
        ).items()
    }


def read_strengths(tables: Tables, days: Sequence[date]) -> dict[tuple[int, str, str], float]:
    """Prior strengths by day number, entity type and surface."""
    return {
        (day_number(row["ds"]), row["entity_type"], row["surface"]): row["strength"]
        for row in tables.read_arrow("entity_priors", days).to_pylist()
    }


def read_weights(tables: Tables, days: Sequence[date]) -> dict[tuple[date, str], Weights]:
    """Weights by day and model."""
    runs = tables.read_arrow("training_runs", days).to_pylist()
    rows = tables.read_arrow("model_weights", days)
    weights: dict[tuple[date, str], Weights] = {}
    for day in days:
        day_rows = rows.filter(pc.equal(rows["ds"], day))
        for run in runs:
            if run["ds"] == day and run["model"] in MODELS:
                weights[day, run["model"]] = Weights.from_arrow(
                    day_rows, model=run["model"], bits=run["bits"], dense=run["dense"]
                )
    return weights


def read_prior_precision(tables: Tables, day: date) -> float:
    """Precision of a weight that has learnt nothing, as a day's historical model was trained."""
    runs = tables.read_arrow("training_runs", [day]).to_pylist()
    (text,) = (run["parameters"] for run in runs if run["model"] == "historical")
    trained = json.loads(text)
    return float(trained["beta"] / trained["alpha"] + trained["l2"])


def read_bases(tables: Tables, days: Sequence[date]) -> dict[date, TextBasis | None]:
    """Text bases by day, for folding; None where there was no text."""
    rows = tables.read_arrow("text_basis", days)
    bases: dict[date, TextBasis | None] = {}
    for day in days:
        terms = rows.filter(pc.equal(rows["ds"], day)).drop_columns(["ds"])
        if len(terms) == 0:
            bases[day] = None
            continue
        rank = len(terms["loadings"][0])
        bases[day] = TextBasis.from_arrow(terms, singular_values=np.ones(rank), documents=0)
    return bases


def read_models(tables: Tables, days: Sequence[date]) -> dict[date, Models]:
    """The historical and the content model of days, with the basis that texts are folded by."""
    weights, bases = read_weights(tables, days), read_bases(tables, days)
    return {
        day: Models(weights[day, "historical"], weights[day, "content"], bases[day]) for day in days
    }


def request_names(tables: Tables, config: Config, day: date) -> list[dict[str, object]]:
    """Rows of `feature_names` of a day that a request brings."""
    wanted = [n.name for scope in ("context", "pair") for n in of_scope(registry(config), scope)]
    of_request = pc.field("namespace").isin(pa.array(wanted, pa.string()))
    names = tables.read_arrow("feature_names", [day], condition=of_request)
    rows: list[dict[str, object]] = names.to_pylist()
    return rows


def read_predictions(tables: Tables, days: Sequence[date], max_rows: int) -> pa.Table:
    """Predictions of days, in a fixed order; a hash sample of them where they are more."""
    total = sum(tables.row_counts("predictions", days).values())
    share = min(1.0, max_rows / total) if total else 1.0
    read = tables.day_reader("predictions", days)
    if share < 1.0:
        # The order key is a hash: its lower end is a stable sample. Row group by row group: a scan
        # of many files would read ahead in all of them.
        last = pa.scalar(int((share - 0.5) * 2**64), pa.int64())
        read = read.where(lambda rows: pc.less(rows["order_key"], last))
    table = pa.concat_tables([read(day) for day in days])
    ordered = table.sort_by([("ds", "ascending"), ("order_key", "ascending")]).combine_chunks()
    # Reading and sorting have taken as much again, three times.
    del table
    give_back_memory()
    return ordered


def read_position_rates(
    tables: Tables, config: Config, days: Sequence[date]
) -> dict[date, dict[int, float]]:
    """Promoted click rate per position over the window before each day; position 0 is all."""
    window = config.history.promoted_days
    first = days[0] - timedelta(days=window)
    span = [first + timedelta(days=k) for k in range((days[-1] - first).days)]
    counted = tables.read_arrow(
        "entity_counts",
        span,
        columns=["ds", "entity_id", "impressions", "clicks"],
        condition=(pc.field("entity_type") == "position") & (pc.field("surface") == "promoted"),
    ).to_pylist()
    strength = config.history.position_strength
    rates: dict[date, dict[int, float]] = {day: {} for day in days}
    for day in days:
        totals: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for row in counted:
            if 0 < (day - row["ds"]).days <= window:
                for position in (0, int(row["entity_id"])):
                    totals[position][0] += row["impressions"]
                    totals[position][1] += row["clicks"]
        shown, clicked = totals[0]
        overall = (clicked + 1) / (shown + 100)
        for position, (impressions, clicks) in totals.items():
            smoothed = (clicks + strength) / (impressions + strength / overall)
            rates[day][position] = overall if position == 0 else smoothed
    return rates


def read_stack(tables: Tables, day: date) -> Stack:
    """Ensemble and calibration of a day.

    Raises
    ------
    InputMissing
        They have not been made.
    """
    terms = tables.read_arrow("ensemble_weights", [day]).to_pylist()
    curve = tables.read_arrow("calibration_maps", [day]).to_pylist()
    if not terms or not curve:
        raise InputMissing(f"no ensemble for {day}: run fit_ensemble for it first")
    correction = tables.read_arrow("stack_weights", [day]).to_pylist()
    return Stack.from_rows(terms, curve, correction)

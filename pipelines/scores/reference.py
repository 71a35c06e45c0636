"""The reference context: at what request a listing is scored for the day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.features.encodings import LIST_ENCODINGS
from pipelines.features.pairs import MAX_SHARED
from pipelines.features.registry import MODELS, Namespace, of_scope
from pipelines.models.ensemble import Ensemble
from pipelines.models.fields import position_band
from pipelines.models.listing_part import Models


@dataclass(frozen=True)
class Reference:
    """One value per context namespace, and what they add to the two logits."""

    values: Mapping[str, str]
    historical: float
    content: float

    @property
    def logits(self) -> dict[str, float]:
        """What it adds to each model's logit, by model."""
        return {"historical": self.historical, "content": self.content}

    def field(self, name: str) -> str:
        """The value of a calibration field at this context; empty where it has none."""
        if name == "position_band":
            position = self.values.get("position", "1")
            return position_band(int(position)) if position.isdigit() else ""
        return self.values.get(name, "")


def reference_context(
    namespaces: Sequence[Namespace],
    names: Iterable[Mapping[str, object]],
    configured: Mapping[str, str],
    day: date,
    models: Models,
) -> Reference:
    """Choose the value of every context namespace.

    A value given by configuration wins; the weekday is that of the day after `day`, when the
    scores serve; a cross follows its parts; namespaces of any number of values have none;
    otherwise the most frequent value of the day, ties by value.

    Parameters
    ----------
    names : iterable of mappings
        Rows of `feature_names` of context scope.
    """
    context = of_scope(namespaces, "context")
    counts: dict[str, list[tuple[int, str]]] = {}
    for row in names:
        pair = (-int(str(row["rows"])), str(row["value"]))
        counts.setdefault(str(row["namespace"]), []).append(pair)
    values: dict[str, str] = {}
    for namespace in context:
        if namespace.name in configured:
            values[namespace.name] = configured[namespace.name]
        elif namespace.encoding == "weekday":
            values[namespace.name] = str((day + timedelta(days=1)).isoweekday())
        elif namespace.encoding == "cross":
            parts = [values.get(name) for name in namespace.inputs]
            if None not in parts:
                values[namespace.name] = "|".join(str(part) for part in parts)
        elif namespace.encoding in LIST_ENCODINGS:
            # A page has any number of these, such as words of a query: none, for reference.
            continue
        elif namespace.name in counts:
            values[namespace.name] = min(counts[namespace.name])[1]
    sums = {}
    for model in MODELS:
        weights = models.of(model)
        sums[model] = sum(
            weights.of(n.name, values[n.name])
            for n in context
            if n.serves(model) and n.name in values
        )
    return Reference(values, sums["historical"], sums["content"])


def context_terms(
    namespaces: Sequence[Namespace],
    names: Iterable[Mapping[str, object]],
    reference: Reference,
    models: Models,
    ensemble: Ensemble,
) -> list[dict[str, object]]:
    """What each value of a request adds to each logit: rows of `context_terms` without ds.

    The ensemble's logit is additive in them: a server adds the terms of its request to a listing's
    `logit` and applies the calibration map and factors.
    """
    known: dict[str, set[str]] = {name: {value} for name, value in reference.values.items()}
    for row in names:
        known.setdefault(str(row["namespace"]), set()).add(str(row["value"]))
    rows: list[dict[str, object]] = []
    for namespace in namespaces:
        if namespace.scope == "listing":
            continue
        values = known.get(namespace.name, set())
        if namespace.encoding == "shared_word_count":
            values = {f"{f}/{n}" for n in range(1, MAX_SHARED + 1) for f in range(n + 1)}
        for value in sorted(values):
            added = {
                model: models.of(model).of(namespace.name, value)
                if namespace.serves(model)
                else 0.0
                for model in MODELS
            }
            both = float(ensemble.context_logit([added["historical"]], [added["content"]])[0])
            if not (added["historical"] or added["content"]) and namespace.scope == "pair":
                continue
            rows += [
                {
                    "model": model,
                    "namespace": namespace.name,
                    "value": value,
                    "logit": logit,
                    "is_reference": reference.values.get(namespace.name) == value,
                }
                for model, logit in {**added, "ensemble": both}.items()
            ]
    return rows

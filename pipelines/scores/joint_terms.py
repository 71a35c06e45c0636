"""What each value of a request adds to the published logit, where the joint model is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np
import pyarrow as pa

from pipelines.features.ids import cross_ids, value_ids
from pipelines.features.joint_columns import MISSING
from pipelines.features.joint_registry import JointRegistry, RowColumn
from pipelines.models.correction import Correction
from pipelines.models.joint_tables import ROW
from pipelines.scores.joint_scoring import JointWeights

_SEPARATOR = "|"
_CALENDAR = {
    "constant": ("1",),
    "weekday": tuple(str(day) for day in range(1, 8)),
    "weekend": ("0", "1"),
}


def joint_terms(
    registry: JointRegistry,
    names: Iterable[Mapping[str, object]],
    given: Mapping[str, str],
    reference: Mapping[str, int],
    weights: JointWeights,
    pair_terms: Sequence[Mapping[str, object]],
    correction: Correction,
) -> list[dict[str, object]]:
    """Rows of `context_terms` without ds: those of `joint`, and of `published`.

    What a request knows alone; users and queries, which have no bound, are in the joint model's
    state, and what only listing and request together know is in its weights.

    Parameters
    ----------
    names : iterable of mappings
        namespace and value: the values that the day's requests bring.
    given : mapping of str to str
        Configured values of the reference context, which count as known.
    reference : mapping of str to int
        As of `reference_ids`.
    pair_terms : sequence of mappings
        Rows of the two FTRL models.
    """
    values = _known_values(registry, names, given)
    logits: dict[tuple[str, str], dict[str, float]] = {}
    is_reference: dict[tuple[str, str], bool] = {}
    for column in registry.columns:
        if column.scope != "request" or not column.is_served:
            continue
        texts, ids = _values_of(column, values)
        found = weights.values(ROW, column.name, ids).weight
        at_reference = _reference_id(column, reference)
        for text, identity, weight in zip(texts, ids.tolist(), found.tolist(), strict=True):
            logits.setdefault((column.name, text), {})["joint"] = weight
            is_reference[column.name, text] = identity == at_reference
    for row in pair_terms:
        key = (str(row["namespace"]), str(row["value"]))
        if row["model"] in ("historical", "content"):
            logits.setdefault(key, {})[str(row["model"])] = float(str(row["logit"]))
            is_reference.setdefault(key, bool(row["is_reference"]))
    rows: list[dict[str, object]] = []
    for (namespace, value), own in sorted(logits.items()):
        parts = [own.get(model, 0.0) for model in ("joint", "historical", "content")]
        published = float(correction.context_logit(*([part] for part in parts))[0])
        added = {"published": published} | ({"joint": parts[0]} if "joint" in own else {})
        rows += [
            {
                "model": model,
                "namespace": namespace,
                "value": value,
                "logit": logit,
                "is_reference": is_reference[namespace, value],
            }
            for model, logit in added.items()
        ]
    return rows


def _known_values(
    registry: JointRegistry, names: Iterable[Mapping[str, object]], given: Mapping[str, str]
) -> dict[str, list[str]]:
    """Values of every bounded namespace of request scope, ascending."""
    found: dict[str, set[str]] = {}
    for row in names:
        found.setdefault(str(row["namespace"]), set()).add(str(row["value"]))
    for name, value in given.items():
        found.setdefault(name, set()).add(value)
    return {
        n.name: sorted({*found.get(n.name, set()), *_CALENDAR.get(n.encoding, ())})
        for n in registry.of_scope("request")
        if not n.is_id
    }


def _values_of(
    column: RowColumn, values: Mapping[str, list[str]]
) -> tuple[list[str], np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Texts and ids of a column's values."""
    if column.missing:
        return [MISSING], value_ids(column.name, pa.array([MISSING]))
    if not column.parts:
        texts = values.get(column.name, [])
        return texts, value_ids(column.name, pa.array(texts, pa.string()))
    combined = list(product(*(values.get(part, []) for part in column.parts)))
    texts = [_SEPARATOR.join(parts) for parts in combined]
    ids = [
        value_ids(part, pa.array([own[place] for own in combined], pa.string()))
        for place, part in enumerate(column.parts)
    ]
    return texts, cross_ids(column.name, ids)


def _reference_id(column: RowColumn, reference: Mapping[str, int]) -> int | None:
    if column.missing:
        return None
    if not column.parts:
        return reference.get(column.name)
    parts = [np.array([reference[part]], np.int64) for part in column.parts]
    return int(cross_ids(column.name, parts)[0])

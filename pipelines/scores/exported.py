"""What a server needs of a day's scores: header and arrays of the file of `pipelines.scorer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.ids import value_ids
from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_registry import JointRegistry, RowColumn
from pipelines.features.joint_rows import ListingIds
from pipelines.features.text import characters
from pipelines.models.joint_tables import CONTENT, ROW
from pipelines.models.segments import COLD
from pipelines.models.stack import Stack
from pipelines.models.usual_values import UsualValues
from pipelines.scorer.labels import ENCODINGS, LISTS
from pipelines.scores.joint_scoring import JointListings, JointWeights
from pipelines.scores.reference import Reference
from pipelines.scores.scoring import listing_fields
from schemas.logs import IMPRESSION_COLUMNS

Arrays = dict[str, npt.NDArray[Any]]

_ONE_VALUE = {*ENCODINGS, "constant", "cross", "shared_word_count", "usual"}
_NOT_OF_A_REQUEST = {"impression_id", "listing_id", "attributes"}
_REQUEST_FIELDS = ("surface", "position", "position_band", "device", "country")
_LISTING_FIELDS = ("segment", "shop", "category")


class NotExportable(ValueError):
    """The registry or calibration has what the scorer cannot evaluate for a request."""


@dataclass(frozen=True)
class Share:
    """What a logit of each model adds to the published one."""

    joint: float
    historical: float
    content: float

    @classmethod
    def of(cls, stack: Stack) -> Share:
        """Read off a stack, whose context part is linear."""
        unit = np.eye(3)
        return cls(*(float(share) for share in stack.context_logit(*unit)))


def listing_arrays(
    batch: pa.RecordBatch,
    scored: pa.Table,
    joint: JointListings,
    registry: JointRegistry | None,
    ids: ListingIds,
    stack: Stack,
    reference: Reference,
) -> Arrays:
    """What is known of listings whatever the request.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Listings, m rows, each once.
    scored : pyarrow.Table
        Of the same rows, columns of `listing_scores`.
    joint : JointListings
        Of the same rows, at the reference context.
    registry : JointRegistry, optional
        Where the joint model has a share in what is published.
    ids : ListingIds
        Of the same rows, as of `JointAssembler.listings`.
    """
    keys = value_ids("listing_id", batch.column("listing_id").cast(pa.string()))
    order = np.argsort(keys)
    columns = registry.columns if registry is not None else ()
    logit = scored["logit"].to_numpy().copy()
    variance = scored["standard_error"].to_numpy() ** 2
    if registry is not None:
        # A request has pair values of its own; at the reference they are part of the score.
        logit -= Share.of(stack).joint * _summed(joint, columns, "pair", 0)
        variance = _summed(joint, columns, "listing", 1)
    arrays: Arrays = {
        "listing/ids": keys[order],
        "listing/logit": logit[order],
        "listing/variance": variance[order],
        "listing/factor": _listing_factor(batch, scored, stack, reference)[order],
    }
    words = [np.unique(ids.words.slots[a:b].view(np.uint32)) for a, b in _spans(ids, order)]
    arrays["listing/word_counts"] = np.array([len(own) for own in words], np.uint32)
    arrays["listing/words"] = np.concatenate([np.empty(0, np.uint32), *words])
    for namespace in _needed(registry) if registry is not None else []:
        if namespace.scope == "listing":
            name = namespace.name
            distinct, codes = np.unique(ids.ids[name][order], return_inverse=True)
            arrays[f"listing/{name}/ids"] = distinct
            arrays[f"listing/{name}/codes"] = codes.astype(np.min_scalar_type(len(distinct)))
    return arrays


def _summed(
    joint: JointListings, columns: Sequence[RowColumn], scope: str, what: int
) -> npt.NDArray[np.float64]:
    """Weights (0) or variances (1) of the columns of a scope, shape (m,)."""
    total = np.zeros(len(joint.logit))
    for column in columns:
        if column.scope == scope:
            total += joint.parts[column.name][what]
    return total


def _spans(ids: ListingIds, order: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    offsets = ids.words.offsets
    return [(int(offsets[k]), int(offsets[k + 1])) for k in order.tolist()]


def _listing_factor(
    batch: pa.RecordBatch, scored: pa.Table, stack: Stack, reference: Reference
) -> npt.NDArray[np.float64]:
    cold = np.asarray(scored["segment"].to_pylist()) == COLD
    factors = stack.factors.factors
    names = sorted(set(factors) & set(_LISTING_FIELDS))
    product = np.ones(batch.num_rows)
    for name, (codes, labels) in listing_fields(names, batch, cold, reference).items():
        product *= np.array([factors[name].get(label, 1.0) for label in labels])[codes]
    return product


def joint_arrays(
    registry: JointRegistry, weights: JointWeights, usual: UsualValues | None, share: float
) -> Arrays:
    """Weights of what a request brings, alone or with a listing, by ascending id.

    Parameters
    ----------
    weights : JointWeights
        Of all namespaces of rows that are not the listing's alone.
    share : float
        What the joint logit adds to the published one.
    """
    arrays: Arrays = {}
    for column in _columns(registry):
        ids, weight, variance = weights.sorted_of(ROW, column.name)
        arrays[f"column/{column.name}/ids"] = ids
        arrays[f"column/{column.name}/weight"] = share * weight
        arrays[f"column/{column.name}/variance"] = variance
        for content in registry.contents_of(column.name):
            ids, weight, _ = weights.sorted_of(CONTENT, content.name)
            arrays[f"content/{content.name}/ids"] = ids
            arrays[f"content/{content.name}/weight"] = share * weight
    if usual is not None:
        entity, value, branch = usual.arrays()
        order = np.argsort(entity)
        arrays["usual/entity"] = entity[order]
        arrays["usual/value"], arrays["usual/branch"] = value[order], branch[order]
    return arrays


def letter_arrays() -> Arrays:
    """Which characters are of words, and how they are lower-cased."""
    return {f"letters/{name}": codes for name, codes in characters().items()}


def header(
    day: date,
    run_id: str,
    registry: JointRegistry | None,
    prior_variance: Mapping[str, float],
    features: Sequence[Mapping[str, Any]],
    stack: Stack,
) -> dict[str, Any]:
    """What a file says of itself.

    Parameters
    ----------
    registry : JointRegistry, optional
        Where the joint model has a share in what is published.
    features : sequence of mappings
        As of `pipelines.scores.exported_features`.

    Raises
    ------
    NotExportable
        Something cannot be evaluated for a request.
    """
    namespaces: list[dict[str, Any]] = []
    columns: list[dict[str, Any]] = []
    if registry is not None:
        namespaces = [_described(namespace) for namespace in _needed(registry)]
        columns = [_column(registry, column, prior_variance) for column in _columns(registry)]
    own = [content for column in columns for content in column["contents"]]
    for namespace in [*namespaces, *own, *features]:
        _refuse_unknown(namespace)
    unknown = sorted(set(stack.factors.factors) - {*_REQUEST_FIELDS, *_LISTING_FIELDS})
    if unknown:
        raise NotExportable(f"no scorer knows the calibration fields {', '.join(unknown)}")
    known = [c.name for c in IMPRESSION_COLUMNS if c.name not in _NOT_OF_A_REQUEST]
    read = {name for n in [*namespaces, *own, *features] for name in n["inputs"] if "." in name}
    return {
        "day": day.isoformat(),
        "serves": (day + timedelta(days=1)).isoformat(),
        "run_id": run_id,
        "request_columns": [*known, "ds", *sorted(read)],
        "namespaces": namespaces,
        "columns": columns,
        "features": list(features),
        "map": {
            "kind": stack.map.kind,
            "parameters": stack.map.parameters,
            "knots": stack.map.knots,
        },
        "fields": [
            {
                "name": name,
                "encoding": "position_band" if name == "position_band" else "identity",
                "inputs": ["position" if name == "position_band" else name],
                "factors": stack.factors.factors[name],
            }
            for name in sorted(stack.factors.factors)
            if name in _REQUEST_FIELDS
        ],
    }


def _columns(registry: JointRegistry) -> list[RowColumn]:
    """Columns of rows that a request has a part in."""
    return [column for column in registry.columns if column.scope != "listing"]


def _needed(registry: JointRegistry) -> list[JointNamespace]:
    """Registered namespaces that these columns are made of, in registered order."""
    wanted: set[str] = set()
    for column in _columns(registry):
        wanted |= {column.missing} if column.missing else {*column.parts} or {column.name}
    for namespace in reversed(registry.namespaces):
        if namespace.name in wanted and namespace.scope in ("cross", "pair"):
            wanted |= {part for part in namespace.inputs if part in registry.by_name}
    return [n for n in registry.namespaces if n.of == ROW and n.name in wanted]


def _described(namespace: JointNamespace) -> dict[str, Any]:
    return {
        "name": namespace.name,
        "scope": namespace.scope,
        "encoding": namespace.encoding,
        "inputs": list(namespace.inputs),
    }


def _column(
    registry: JointRegistry, column: RowColumn, prior_variance: Mapping[str, float]
) -> dict[str, Any]:
    usual = registry.usual
    is_usual = usual is not None and usual.name in (column.name, *column.parts[1:])
    return {
        "name": column.name,
        "scope": column.scope,
        "parts": [] if usual is not None and column.name == usual.name else list(column.parts),
        "missing": column.missing,
        "usual": _described(usual) if usual is not None and is_usual else None,
        "contents": [_described(content) for content in registry.contents_of(column.name)],
        "prior_variance": prior_variance[column.name],
    }


def _refuse_unknown(namespace: Mapping[str, Any]) -> None:
    encoding, name = namespace["encoding"], namespace["name"]
    known = {*_ONE_VALUE, *LISTS, "band", "shared_words"}
    if namespace.get("scope") != "listing" and encoding not in known:
        raise NotExportable(f"{name}: no scorer knows the encoding {encoding} of a request")
    if encoding == "identity" and namespace["inputs"] == ["ts"]:
        raise NotExportable(f"{name}: no scorer knows a time as a text")

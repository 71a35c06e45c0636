"""What a request brings to the two FTRL models, where they have a share in what is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.days import with_day
from pipelines.features.assemble import Strengths
from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.feature_rows import CONTEXT_ENTITIES, one_batch
from pipelines.features.history import SUMS, of_type
from pipelines.features.ids import value_ids
from pipelines.features.registry import MODELS, Namespace
from pipelines.models.listing_part import Models
from pipelines.scores.exported import Arrays, Share

_BANDS = ("rate_band", "count_band")


def exported_features(
    namespaces: Sequence[Namespace],
    models: Models,
    share: Share,
    history: pa.Table,
    strengths: Strengths,
    day: date,
) -> tuple[list[dict[str, Any]], Arrays]:
    """Namespaces of a request, and the models' weights times their share.

    Parameters
    ----------
    history : pyarrow.Table
        Window sums of queries and users to the end of the day before `day`.
    day : date
        The day that is served; `strengths` are of it.

    Returns
    -------
    (list of dict, dict of str to numpy.ndarray)
        For the header, and the arrays that it speaks of.
    """
    shares = {model: getattr(share, model) for model in MODELS}
    features: list[dict[str, Any]] = []
    arrays: Arrays = {}
    parts = {part for n in namespaces if n.encoding == "cross" for part in n.inputs}
    for namespace in namespaces:
        used = {m: models.of(m).bits for m in MODELS if namespace.serves(m) and shares[m]}
        if namespace.scope == "listing" or not (used or namespace.name in parts):
            continue
        described: dict[str, Any] = {
            "name": namespace.name,
            "encoding": namespace.encoding,
            "inputs": list(namespace.inputs),
            "models": used,
        }
        if namespace.encoding in _BANDS:
            entity = namespace.inputs[0].split(".")[0]
            ids, bands, default = _bands(namespace, entity, history, strengths, day)
            arrays |= {f"band/{namespace.name}/ids": ids, f"band/{namespace.name}/band": bands}
            described |= {
                "encoding": "band",
                "inputs": [CONTEXT_ENTITIES[entity]],
                "default": default,
            }
        features.append(described)
    if not any(shares.values()):
        return [], {}
    for model in MODELS:
        if shares[model]:
            weights = models.of(model)
            kept = (weights.slot >= 0) & (weights.weight != 0.0)
            arrays[f"{model}/slots"] = weights.slot[kept].astype(np.uint32)
            arrays[f"{model}/weight"] = shares[model] * weights.weight[kept]
    return features, arrays


def _bands(
    namespace: Namespace,
    entity: str,
    history: pa.Table,
    strengths: Mapping[tuple[int, str, str], float],
    day: date,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16], int]:
    """Band of every entity that differs from what an unseen one has, by ascending id; and that."""
    own = of_type(history, entity).combine_chunks()
    columns = {
        f"{entity}_{name}": pa.chunked_array([*own[name].chunks, pa.nulls(1, pa.int64())])
        for name in SUMS
    }
    batch = Batch(one_batch(with_day(pa.table(columns), day)), strengths)
    tokens = ENCODINGS[namespace.encoding](batch, namespace.inputs)
    labels = np.array([int(label) for label in tokens.labels.to_pylist()], dtype=np.int16)
    bands = labels[tokens.codes]
    ids = value_ids(CONTEXT_ENTITIES[entity], own["entity_id"].combine_chunks())
    default = int(bands[-1])
    kept = np.flatnonzero(bands[:-1] != default)
    kept = kept[np.argsort(ids[kept])]
    return ids[kept], bands[:-1][kept], default

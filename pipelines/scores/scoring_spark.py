"""Scoring every live promoted listing at the reference context (Spark side)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame

from pipelines.features.assemble import Assembler
from pipelines.models.elementary import probabilities
from pipelines.models.ensemble import EnsembleInputs
from pipelines.models.fields import Coded, coded, segment_field, top_levels
from pipelines.models.listing_part import Models, evidence, listing_part, variances
from pipelines.models.segments import COLD, WARM
from pipelines.models.stack import Stack, ensemble_inputs, is_cold
from pipelines.scores.reference import Reference

SCHEMA = (
    "listing_id string, p_click double, logit double, p_historical double, p_content double, "
    "p_ensemble double, segment string, window_impressions bigint, standard_error double, ds date"
)


def score_listings(
    frame: DataFrame,
    assembler: Assembler,
    models: Broadcast[Models],
    stack: Stack,
    reference: Reference,
    fields: Sequence[str],
    prior: float,
) -> DataFrame:
    """Score listings.

    Parameters
    ----------
    frame : DataFrame
        As of `listing_frame`, window sums to the end of the day.
    prior : float
        Precision of a weight that has learnt nothing, for the standard error.

    Returns
    -------
    DataFrame
        Columns of `listing_scores` but model_as_of and run_id.
    """

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                yield score_batch(batch, assembler, models.value, stack, reference, fields, prior)

    return frame.mapInArrow(score, SCHEMA)


def score_batch(
    batch: pa.RecordBatch,
    assembler: Assembler,
    models: Models,
    stack: Stack,
    reference: Reference,
    fields: Sequence[str],
    prior: float,
) -> pa.RecordBatch:
    """Score the listings of a batch: columns of `SCHEMA`."""
    part = listing_part(assembler, batch, models)
    table = pa.table(
        {
            **evidence(assembler, batch),
            "historical_listing": part.historical + reference.historical,
            "content_listing": part.content + reference.content,
        }
    )
    cold = is_cold(table, stack.cold_threshold)
    inputs = ensemble_inputs(table, stack.cold_threshold, context=False)
    whole = stack.ensemble.listing_logit(inputs)
    # Without the reference context: a server adds the terms of its own.
    context = stack.ensemble.context_logit([reference.historical], [reference.content])[0]
    values = {name: _field(name, batch, cold, reference) for name in fields}
    slopes = [
        stack.ensemble.listing_logit(_raised(inputs, name)) - whole
        for name in ("historical_listing", "content_listing")
    ]
    spread = variances(part, models, prior)
    error = np.sqrt(slopes[0] ** 2 * spread[0] + slopes[1] ** 2 * spread[1])
    return pa.RecordBatch.from_arrays(
        [
            batch.column("listing_id"),
            pa.array(stack.publish(whole, values)),
            pa.array(whole - context),
            pa.array(probabilities(part.historical + reference.historical)),
            pa.array(probabilities(part.content + reference.content)),
            pa.array(probabilities(whole)),
            pa.array(np.where(cold, COLD, WARM).tolist(), pa.string()),
            table["window_impressions"].combine_chunks(),
            pa.array(error),
            batch.column("ds"),
        ],
        names=[field.split()[0] for field in SCHEMA.split(", ")],
    )


def _raised(inputs: EnsembleInputs, name: str) -> EnsembleInputs:
    """The same inputs with one listing part one logit higher: its slope in the ensemble."""
    return replace(inputs, **{name: getattr(inputs, name) + 1.0})


def _field(
    name: str, batch: pa.RecordBatch, cold: npt.NDArray[np.bool_], reference: Reference
) -> Coded:
    if name == "segment":
        return segment_field(cold)
    if name == "shop":
        return coded(batch.column("shop_id"))
    if name == "category":
        return coded(top_levels(batch.column("category")))
    return np.zeros(batch.num_rows, dtype=np.int64), [reference.field(name)]

"""Scoring every live promoted listing at the reference context."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.features.assemble import Assembler
from pipelines.features.feature_rows import batches_of
from pipelines.models.elementary import probabilities
from pipelines.models.ensemble import EnsembleInputs
from pipelines.models.fields import Coded, coded, segment_field, top_levels
from pipelines.models.listing_part import Models, evidence, listing_part, variances
from pipelines.models.segments import COLD, WARM
from pipelines.models.stack import Stack, is_cold, stack_inputs
from pipelines.scores.joint_scoring import JointListings
from pipelines.scores.reference import Reference


def score_listings(
    rows: pa.Table,
    assembler: Assembler,
    models: Models,
    stack: Stack,
    reference: Reference,
    prior: float,
    joint: JointListings | None = None,
) -> list[pa.Table]:
    """Score listings.

    Parameters
    ----------
    rows : pyarrow.Table
        Listings with their window sums to the end of the day.
    prior : float
        Precision of a weight that has learnt nothing, for the standard error.
    joint : JointListings, optional
        Of the rows; needed where the joint model is published.

    Returns
    -------
    list of pyarrow.Table
        Columns of `listing_scores` but model_as_of and run_id.
    """
    own = JointListings.none(len(rows)) if joint is None else joint
    made: list[pa.Table] = []
    done = 0
    for batch in batches_of(rows):
        part = own.slice(done, done + batch.num_rows)
        made.append(score_batch(batch, assembler, models, stack, reference, prior, part))
        done += batch.num_rows
    return made


def score_batch(
    batch: pa.RecordBatch,
    assembler: Assembler,
    models: Models,
    stack: Stack,
    reference: Reference,
    prior: float,
    joint: JointListings,
) -> pa.Table:
    """Score the listings of a batch."""
    part = listing_part(assembler, batch, models)
    table = pa.table(
        {
            **evidence(assembler, batch),
            "historical_listing": part.historical + reference.historical,
            "content_listing": part.content + reference.content,
            "joint_listing": joint.logit,
        }
    )
    cold = is_cold(table, stack.cold_threshold)
    inputs = stack_inputs(table, stack.cold_threshold, context=False)
    whole = stack.listing_logit(inputs)
    # Without the reference context: a server adds the terms of its own.
    context = stack.context_logit([joint.request], [reference.historical], [reference.content])[0]
    values = listing_fields(stack.factors.factors, batch, cold, reference)
    if stack.correction is None:
        spread = variances(part, models, prior)
        slopes = [
            stack.ensemble.listing_logit(_raised(inputs.pair, name)) - whole
            for name in ("historical_listing", "content_listing")
        ]
        error = np.sqrt(slopes[0] ** 2 * spread[0] + slopes[1] ** 2 * spread[1])
    else:
        error = np.sqrt(joint.variance)
    return pa.table(
        {
            "listing_id": batch.column("listing_id"),
            "p_click": stack.publish(whole, values),
            "logit": whole - context,
            "p_historical": probabilities(part.historical + reference.historical),
            "p_content": probabilities(part.content + reference.content),
            "p_ensemble": probabilities(stack.ensemble.listing_logit(inputs.pair)),
            "p_joint": probabilities(inputs.joint_listing),
            "segment": pa.array(np.where(cold, COLD, WARM).tolist(), pa.string()),
            "window_impressions": table["window_impressions"],
            "standard_error": error,
            "ds": batch.column("ds"),
        }
    )


def _raised(inputs: EnsembleInputs, name: str) -> EnsembleInputs:
    """The same inputs with one listing part one logit higher: its slope in the ensemble."""
    return replace(inputs, **{name: getattr(inputs, name) + 1.0})


def listing_fields(
    names: Iterable[str],
    batch: pa.RecordBatch,
    is_cold: npt.NDArray[np.bool_],
    reference: Reference,
) -> dict[str, Coded]:
    """Values of calibration fields of each listing; at the reference what is not the listing's."""
    of_listing = {
        "segment": lambda: segment_field(is_cold),
        "shop": lambda: coded(batch.column("shop_id")),
        "category": lambda: coded(top_levels(batch.column("category"))),
    }
    nowhere = np.zeros(batch.num_rows, dtype=np.int64)
    return {
        name: of_listing[name]() if name in of_listing else (nowhere, [reference.field(name)])
        for name in names
    }

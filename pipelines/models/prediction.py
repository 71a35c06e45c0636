"""Out-of-time predictions of promoted traffic, hashed and scored in one pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.assemble import Assembler
from pipelines.features.feature_rows import (
    batches_of,
    batches_with_listings,
    listing_words,
    one_batch,
    request_rows,
)
from pipelines.features.xxhash import xxhash64
from pipelines.models.fields import position_bands, top_levels
from pipelines.models.linear import logits
from pipelines.models.listing_part import Models, evidence, listing_part
from pipelines.samples.balanced import order_key
from schemas.models import PREDICTIONS


def score_listing_days(rows: pa.Table, assembler: Assembler, models: Models) -> pa.Table:
    """Listing parts of the logits at the reference context, once per listing and day.

    Parameters
    ----------
    rows : pyarrow.Table
        Listings of a day with their history.

    Returns
    -------
    pyarrow.Table
        Columns of `listing_logits`: what `predict_traffic` takes over of the listing.
    """
    made = []
    # Also without a listing: impressions may show what is in no snapshot.
    for batch in batches_of(rows) if len(rows) else [one_batch(rows)]:
        part = listing_part(assembler, batch, models)
        columns = {
            "listing_id": batch.column("listing_id"),
            "category": top_levels(batch.column("category")),
            "shop": batch.column("shop_id"),
            "historical_listing": pa.array(part.historical + models.reference["historical"]),
            "content_listing": pa.array(part.content + models.reference["content"]),
            **evidence(assembler, batch),
            "words": listing_words(assembler, batch),
            "ds": batch.column("ds"),
        }
        made.append(pa.table(columns))
    return pa.concat_tables(made)


def predict_traffic(
    contexts: pa.Table,
    listing_scores: pa.Table,
    assembler: Assembler,
    models: Models,
    position_rates: Mapping[int, float],
    joint: pa.Table,
) -> list[pa.Table]:
    """Score promoted traffic of a day with full context.

    Parameters
    ----------
    contexts : pyarrow.Table
        Valid promoted rows of `labeled_impressions` with the history of context.
    listing_scores : pyarrow.Table
        As of `score_listing_days`: at least the listings of the traffic, each once.
    position_rates : mapping
        Position to the promoted click rate before that day; position 0 is all.
    joint : pyarrow.Table
        Rows of `joint_predictions` of the day: one for each of the impressions.

    Returns
    -------
    list of pyarrow.Table
        Columns of `predictions`.
    """
    made = []
    overall = position_rates.get(0, 0.01)
    for batch in batches_with_listings(contexts, listing_scores):
        columns = {name: batch.column(name) for name in batch.schema.names}
        for model, parts in request_rows(assembler, batch).items():
            weights = models.of(model).table
            total = np.zeros(batch.num_rows)
            for rows in parts:
                total += logits(weights, rows)
            columns[f"{model}_context"] = pa.array(total - models.reference[model])
            # A listing in no snapshot brings nothing to any context.
            known = columns[f"{model}_listing"]
            columns[f"{model}_listing"] = known.fill_null(models.reference[model])
        for name in ("window_impressions", "shop_window_impressions"):
            columns[name] = columns[name].fill_null(0)
        positions = batch.column("position").to_numpy()
        kinds, where = np.unique(positions, return_inverse=True)
        rates = np.array([position_rates.get(int(p), overall) for p in kinds])[where]
        columns["listing_ratio"] = columns["listing_ratio"].fill_null(1.0)
        ratio = columns["listing_ratio"].to_numpy(zero_copy_only=False)
        columns["p_baseline"] = pa.array(np.clip(ratio * rates, 1e-6, 0.999))
        columns["position_band"] = position_bands(batch.column("position"))
        columns["order_key"] = pa.array(order_key(batch.column("impression_id")))
        at = pc.index_in(columns["order_key"], joint["order_key"].combine_chunks())
        for part in ("listing", "context"):
            columns[f"joint_{part}"] = joint[part].combine_chunks().take(at)
        users = pc.coalesce(batch.column("user_id"), batch.column("request_id"))
        columns["user_key"] = pa.array(xxhash64(users))
        made.append(pa.table({name: columns[name] for name in PREDICTIONS.column_names}))
    return made

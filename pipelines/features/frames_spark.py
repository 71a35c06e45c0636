"""The frames that features are assembled from, and assembling them (Spark side)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.features.assemble import Assembler, names_batch
from pipelines.features.history_spark import SUMS
from pipelines.features.keys import id_keys
from pipelines.features.rates import days_since_1970
from pipelines.features.rows import SlotRows
from pipelines.mapped_frame_spark import Batches, MappedFrame
from schemas.features import FEATURE_NAMES, FEATURES

LISTING_ENTITIES = {"listing": "listing_id", "shop": "shop_id", "category": "category"}
CONTEXT_ENTITIES = {"query": "query", "user": "user_id"}


def with_history(frame: DataFrame, history: DataFrame, entities: dict[str, str]) -> DataFrame:
    """Add the window sums of entities as ``<entity>_<surface>_<what>``; null where unseen.

    Parameters
    ----------
    frame : DataFrame
        With ds and the id columns.
    history : DataFrame
        Columns of `entity_history`: unique per ds, entity_type and entity_id.
    entities : dict
        Entity type to the id column of `frame`.
    """
    for entity, key in entities.items():
        sums = history.where(F.col("entity_type") == entity).select(
            "ds",
            F.col("entity_id").alias(key),
            *(F.col(name).alias(f"{entity}_{name}") for name in SUMS),
        )
        frame = frame.join(sums, ["ds", key], how="left")
    return frame


def listing_frame(listings: DataFrame, history: DataFrame) -> DataFrame:
    """One row per listing and day with all that listing scope is assembled from."""
    return with_history(listings, history, LISTING_ENTITIES)


def context_frame(impressions: DataFrame, history: DataFrame) -> DataFrame:
    """One row per impression with all that context scope is assembled from."""
    return with_history(impressions, history, CONTEXT_ENTITIES)


def assemble_listings(frame: DataFrame, assembler: Assembler) -> DataFrame:
    """Hash listing scope once per listing and day.

    Returns
    -------
    DataFrame
        ds, listing_id, listing_historical, listing_content, words: packed slots.
    """

    def assemble(batches: Batches) -> Batches:
        for batch in batches:
            rows = assembler.rows(assembler.tokens(batch, "listing"), "listing")
            words = _listing_words(assembler, batch)
            yield pa.RecordBatch.from_arrays(
                [
                    batch.column("ds"),
                    batch.column("listing_id"),
                    rows["historical"].to_binary(),
                    rows["content"].to_binary(),
                    words.to_binary(),
                ],
                names=["ds", "listing_id", "listing_historical", "listing_content", "words"],
            )

    return frame.mapInArrow(
        assemble,
        "ds date, listing_id string, listing_historical binary, listing_content binary, "
        "words binary",
    )


def _listing_words(assembler: Assembler, batch: pa.RecordBatch) -> SlotRows:
    if not assembler.has_pairs:
        return SlotRows(np.zeros(batch.num_rows + 1, np.int64), np.empty(0, np.int32))
    return assembler.word_rows(batch, "title", "tags")


def request_rows(assembler: Assembler, batch: pa.RecordBatch) -> dict[str, list[SlotRows]]:
    """Context and pair rows of a batch of impressions that carry their listing's `words`."""
    context = assembler.rows(assembler.tokens(batch, "context"), "context")
    parts = {model: [rows] for model, rows in context.items()}
    if assembler.has_pairs:
        query = assembler.word_rows(batch, "query")
        pairs = assembler.pair_rows(query, SlotRows.from_binary(batch.column("words")))
        for model, rows in pairs.items():
            parts[model].append(rows)
    return parts


def build_features(
    samples: DataFrame, listing_rows: DataFrame, history: DataFrame, assembler: Assembler
) -> MappedFrame:
    """Hash the sampled impressions into packed rows, in training order.

    Parameters
    ----------
    samples : DataFrame
        Columns of `training_samples`.
    listing_rows : DataFrame
        As of `assemble_listings`, unique per ds and listing_id.

    Returns
    -------
    MappedFrame
        Columns of `features`, sorted by ds and order_key within partitions of whole days.
    """
    frame = context_frame(samples, history).join(listing_rows, ["ds", "listing_id"], how="left")

    def assemble(batches: Batches) -> Batches:
        for batch in batches:
            parts = request_rows(assembler, batch)
            packed = {}
            for model, rows in parts.items():
                of_listing = SlotRows.from_binary(batch.column(f"listing_{model}"))
                packed[model] = SlotRows.concatenate([of_listing, *rows]).to_binary()
            made = {f"{model}_slots": values for model, values in packed.items()}
            made["listing_key"] = pa.array(id_keys(batch.column("listing_id")))
            names = list(FEATURES.column_names)
            columns = [made[name] if name in made else batch.column(name) for name in names]
            yield pa.RecordBatch.from_arrays(columns, names=names)

    ordered = frame.repartition("ds").sortWithinPartitions("ds", "order_key")
    return MappedFrame(ordered, assemble, FEATURES.frame_struct)


def name_features(frame: DataFrame, assembler: Assembler, scope: str) -> DataFrame:
    """The distinct values behind the hashes of a scope.

    Returns
    -------
    DataFrame
        Columns of `feature_names`.
    """

    def names(batches: Batches) -> Batches:
        for batch in batches:
            yield from names_batch(
                assembler.tokens(batch, scope), days_since_1970(batch.column("ds"))
            )

    schema = "ds date, slot int, namespace string, value string, rows bigint"
    return (
        frame.mapInArrow(names, schema)
        .groupBy("slot", "namespace", "value", "ds")
        .agg(F.sum("rows").alias("rows"))
        .select(*FEATURE_NAMES.column_names)
    )


def by_day(batches: Batches, score: Callable[[int, pa.RecordBatch], pa.RecordBatch]) -> Batches:
    """Hand the rows of each day of each batch to `score`, with the day's number since 1970."""
    for batch in batches:
        days = days_since_1970(batch.column("ds"))
        kinds = np.unique(days)
        for day in kinds.tolist():
            part = batch if len(kinds) == 1 else batch.filter(pa.array(days == day))
            yield score(day, part)

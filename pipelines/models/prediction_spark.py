"""Out-of-time predictions of promoted traffic, hashed and scored in one pass (Spark side)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.features.assemble import Assembler
from pipelines.features.frames_spark import by_day, context_frame, request_rows
from pipelines.mapped_frame_spark import MappedFrame
from pipelines.models.fields import position_bands, top_levels
from pipelines.models.linear import logits
from pipelines.models.listing_part import Models, evidence, listing_part, smoothed_ratio
from pipelines.samples.balanced_spark import order_key
from schemas.models import PREDICTIONS

DayModels = Mapping[int, Models]
"""Models by the number of the day they are used for."""

_LISTING_SCHEMA = (
    "ds date, listing_id string, category string, shop string, historical_listing double, "
    "content_listing double, window_impressions bigint, shop_window_impressions bigint, "
    "age_days double, ratio double, words binary"
)


def score_listing_days(
    frame: DataFrame, assembler: Assembler, models: Broadcast[DayModels]
) -> DataFrame:
    """Listing parts of the logits at the reference context, once per listing and day.

    Parameters
    ----------
    frame : DataFrame
        As of `listing_frame`.
    """

    def score(day: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        of = models.value[day]
        part = listing_part(assembler, batch, of)
        known = evidence(assembler, batch)
        words = assembler.word_rows(batch, "title", "tags") if assembler.has_pairs else None
        return pa.RecordBatch.from_arrays(
            [
                batch.column("ds"),
                batch.column("listing_id"),
                top_levels(batch.column("category")),
                batch.column("shop_id"),
                pa.array(part.historical + of.reference["historical"]),
                pa.array(part.content + of.reference["content"]),
                known["window_impressions"],
                known["shop_window_impressions"],
                known["age_days"],
                pa.array(smoothed_ratio(assembler, batch)),
                words.to_binary() if words else pa.nulls(batch.num_rows, pa.binary()),
            ],
            names=[field.split()[0] for field in _LISTING_SCHEMA.split(", ")],
        )

    return frame.mapInArrow(lambda batches: by_day(batches, score), _LISTING_SCHEMA)


def predict_traffic(
    labeled: DataFrame,
    listing_scores: DataFrame,
    history: DataFrame,
    assembler: Assembler,
    models: Broadcast[DayModels],
    position_rates: Mapping[tuple[int, int], float],
) -> MappedFrame:
    """Score promoted traffic with full context.

    Parameters
    ----------
    labeled : DataFrame
        Columns of `labeled_impressions`.
    listing_scores : DataFrame
        As of `score_listing_days`, unique per ds and listing_id.
    position_rates : mapping
        (day number, position) to the promoted click rate before that day; position 0 is all.

    Returns
    -------
    MappedFrame
        Columns of `predictions`.
    """
    traffic = labeled.where("is_valid_traffic AND surface = 'promoted'")
    frame = context_frame(traffic, history).join(
        F.broadcast(listing_scores), ["ds", "listing_id"], how="left"
    )
    frame = frame.withColumn("order_key", order_key()).withColumn(
        "user_key", F.xxhash64(F.coalesce("user_id", "request_id"))
    )

    def score(day: int, batch: pa.RecordBatch) -> pa.RecordBatch:
        of = models.value[day]
        columns = {name: batch.column(name) for name in batch.schema.names}
        for model, parts in request_rows(assembler, batch).items():
            weights = of.of(model).table
            total = np.zeros(batch.num_rows)
            for rows in parts:
                total += logits(weights, rows)
            columns[f"{model}_context"] = pa.array(total - of.reference[model])
            # A listing in no snapshot brings nothing to any context.
            known = columns[f"{model}_listing"]
            columns[f"{model}_listing"] = known.fill_null(of.reference[model])
        for name in ("window_impressions", "shop_window_impressions"):
            columns[name] = columns[name].fill_null(0)
        positions = batch.column("position").to_numpy()
        overall = position_rates.get((day, 0), 0.01)
        kinds, where = np.unique(positions, return_inverse=True)
        rates = np.array([position_rates.get((day, int(p)), overall) for p in kinds])[where]
        ratio = columns["ratio"].fill_null(1.0).to_numpy(zero_copy_only=False)
        columns["p_baseline"] = pa.array(np.clip(ratio * rates, 1e-6, 0.999))
        columns["position_band"] = position_bands(batch.column("position"))
        names = list(PREDICTIONS.column_names)
        return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)

    return MappedFrame(
        frame.coalesce(2), lambda batches: by_day(batches, score), PREDICTIONS.frame_struct
    )

"""Stage samples: the balanced training sample and the rates it was drawn with."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.logs import IMPRESSION_COLUMNS
from schemas.table import DS, Column, Table

SAMPLING_RATES = Table(
    name="sampling_rates",
    stage="samples",
    grain="day and surface",
    columns=(
        Column("surface", T.StringType(), "`search` or `promoted`"),
        Column("impressions", T.LongType(), "valid impressions of the day"),
        Column("clicks", T.LongType(), "clicked impressions of the day"),
        Column("non_click_rate", T.DoubleType(), "share of the non-clicks that is kept, in (0, 1]"),
        DS,
    ),
    keys=("surface", "ds"),
    constraints={"rate_is_a_share": "non_click_rate > 0 AND non_click_rate <= 1"},
)

TRAINING_SAMPLES = Table(
    name="training_samples",
    stage="samples",
    grain="sampled impression",
    columns=(
        *(c for c in IMPRESSION_COLUMNS if c.name != "request_id"),
        Column("clicked", T.BooleanType(), "the label"),
        Column("sampling_rate", T.DoubleType(), "rate at which the day's non-clicks were kept"),
        Column("order_key", T.LongType(), "stable hash of the impression id: training order"),
        DS,
    ),
    keys=("impression_id", "ds"),
    constraints={"rate_is_a_share": "sampling_rate > 0 AND sampling_rate <= 1"},
)

TABLES = (SAMPLING_RATES, TRAINING_SAMPLES)

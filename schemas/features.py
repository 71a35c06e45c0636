"""Stage features: history as of the day before, text vectors, hashed rows."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.table import DS, Column, Table

_WINDOW_SUMS = tuple(
    Column(
        f"{surface}_{what}",
        T.LongType(),
        f"{text}, {surface}, over the window ending the day before",
    )
    for surface in ("search", "promoted")
    for what, text in (
        ("impressions", "impressions"),
        ("clicks", "clicks"),
        ("expected_micro", "position-expected clicks in millionths"),
    )
)

ENTITY_HISTORY = Table(
    name="entity_history",
    stage="features",
    grain="day and entity seen that day",
    columns=(
        Column("entity_type", T.StringType(), "listing, shop, category, query or user"),
        Column("entity_id", T.StringType(), "id within its type"),
        *_WINDOW_SUMS,
        DS,
    ),
    keys=("entity_type", "entity_id", "ds"),
    constraints={"not_negative": "search_impressions >= 0 AND promoted_impressions >= 0"},
    clustered_by="entity_type",
)

ENTITY_PRIORS = Table(
    name="entity_priors",
    stage="features",
    grain="day, entity type and surface",
    columns=(
        Column("entity_type", T.StringType(), "listing, shop, category, query or user"),
        Column("surface", T.StringType(), "`search`, `promoted` or `both`"),
        Column("strength", T.DoubleType(), "prior weight m in expected clicks, by moments"),
        Column("entities", T.LongType(), "entities it was estimated from"),
        Column("window_days", T.LongType(), "days the window really holds"),
        DS,
    ),
    keys=("entity_type", "surface", "ds"),
    constraints={"strength_positive": "strength > 0"},
)

TEXT_BASIS = Table(
    name="text_basis",
    stage="features",
    grain="day and term",
    columns=(
        Column("term", T.StringType(), "lower-case word of titles and tags"),
        Column("document_frequency", T.LongType(), "listings that hold the term"),
        Column("idf", T.DoubleType(), "inverse document frequency"),
        Column("loadings", T.ArrayType(T.FloatType(), False), "the term's row of V"),
        DS,
    ),
    keys=("term", "ds"),
)

LISTING_VECTORS = Table(
    name="listing_vectors",
    stage="features",
    grain="day and listing",
    columns=(
        Column("listing_id", T.StringType(), "id of the listing"),
        Column("vector", T.ArrayType(T.FloatType(), False), "dense inputs: text SVD, then image"),
        DS,
    ),
    keys=("listing_id", "ds"),
)

LISTING_FEATURES = Table(
    name="listing_features",
    stage="features",
    grain="day and listing",
    columns=(
        Column("listing_id", T.StringType(), "id of the listing"),
        Column("historical_slots", T.BinaryType(), "full-width hashes, int32 little endian"),
        Column("content_slots", T.BinaryType(), "full-width hashes, int32 little endian"),
        Column("words", T.BinaryType(), "hashes of its words; null where no feature asks", True),
        DS,
    ),
    keys=("listing_id", "ds"),
)

FEATURES = Table(
    name="features",
    stage="features",
    grain="sampled impression",
    columns=(
        Column("order_key", T.LongType(), "stable hash of the impression id: training order"),
        Column("impression_id", T.StringType(), "the impression"),
        Column("surface", T.StringType(), "`search` or `promoted`"),
        Column("clicked", T.BooleanType(), "the label"),
        Column("sampling_rate", T.DoubleType(), "rate at which the day's non-clicks were kept"),
        Column(
            "listing_key", T.LongType(), "64-bit hash of the listing id: finds its dense inputs"
        ),
        Column("historical_slots", T.BinaryType(), "full-width hashes, int32 little endian"),
        Column("content_slots", T.BinaryType(), "full-width hashes, int32 little endian"),
        DS,
    ),
    keys=("impression_id", "ds"),
    constraints={"rate_is_a_share": "sampling_rate > 0 AND sampling_rate <= 1"},
)

FEATURE_NAMES = Table(
    name="feature_names",
    stage="features",
    grain="day, slot and value",
    columns=(
        Column("slot", T.IntegerType(), "full-width hash of `namespace=value`"),
        Column("namespace", T.StringType(), "registered feature namespace"),
        Column("value", T.StringType(), "the value as text"),
        Column(
            "rows", T.LongType(), "listing days (listing scope) or sampled impressions that hold it"
        ),
        DS,
    ),
    keys=("namespace", "value", "ds"),
)

TABLES = (
    ENTITY_HISTORY,
    ENTITY_PRIORS,
    TEXT_BASIS,
    LISTING_VECTORS,
    LISTING_FEATURES,
    FEATURES,
    FEATURE_NAMES,
)

"""Stage models: weights, out-of-time predictions, ensemble, calibration, evaluation."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.table import DS, Column, Table

_MODEL = Column("model", T.StringType(), "which model")
_SEGMENT = Column("segment", T.StringType(), "mixed (all), cold or warm")

MODEL_WEIGHTS = Table(
    name="model_weights",
    stage="models",
    grain="day, model and coordinate",
    columns=(
        Column("model", T.StringType(), "historical or content"),
        Column("slot", T.IntegerType(), "hash slot below 2^bits; dense coordinate j is -1 - j"),
        Column("weight", T.DoubleType(), "weight used for scoring; the bias with its level shift"),
        Column("z", T.DoubleType(), "FTRL accumulator z"),
        Column("n", T.DoubleType(), "sum of squared gradients"),
        DS,
    ),
    keys=("model", "slot", "ds"),
    constraints={"n_not_negative": "n >= 0"},
)

TRAINING_RUNS = Table(
    name="training_runs",
    stage="models",
    grain="day and model",
    columns=(
        Column("model", T.StringType(), "historical or content"),
        Column("parameters", T.StringType(), "hyper-parameters as JSON"),
        Column("hash_seed", T.IntegerType(), "seed of the feature hash"),
        Column("bits", T.IntegerType(), "log2 of the table size"),
        Column("dense", T.IntegerType(), "number of dense coordinates"),
        Column("rows", T.LongType(), "rows learnt"),
        Column("clicks", T.LongType(), "clicks among them"),
        Column("first_day", T.DateType(), "first day learnt"),
        Column("days", T.LongType(), "days that held rows"),
        Column(
            "progressive_log_loss", T.DoubleType(), "mean log loss before each update, sample scale"
        ),
        Column("slots", T.LongType(), "coordinates touched"),
        Column(
            "level_shift",
            T.DoubleType(),
            "added to the bias weight, not to z: level of the day after ds",
        ),
        DS,
    ),
    keys=("model", "ds"),
)

LISTING_LOGITS = Table(
    name="listing_logits",
    stage="models",
    grain="day and listing, by the models of the day before",
    columns=(
        Column("listing_id", T.StringType(), "id of the listing"),
        Column("category", T.StringType(), "top category", nullable=True),
        Column("shop", T.StringType(), "id of the shop", nullable=True),
        Column("historical_listing", T.DoubleType(), "historical logit at the reference context"),
        Column("content_listing", T.DoubleType(), "content logit at the reference context"),
        Column("window_impressions", T.LongType(), "impressions, search and promoted windows"),
        Column("shop_window_impressions", T.LongType(), "the shop's, likewise"),
        Column("age_days", T.DoubleType(), "days since the listing was created", nullable=True),
        Column("listing_ratio", T.DoubleType(), "smoothed clicks over expected clicks, promoted"),
        Column("words", T.BinaryType(), "hashes of its words; null where no feature asks", True),
        DS,
    ),
    keys=("listing_id", "ds"),
)

PREDICTIONS = Table(
    name="predictions",
    stage="models",
    grain="promoted impression",
    columns=(
        Column("impression_id", T.StringType(), "the impression"),
        Column(
            "order_key", T.LongType(), "stable hash of the impression id: fixes the order of sums"
        ),
        Column(
            "user_key", T.LongType(), "64-bit hash of the user, of the page where none is known"
        ),
        Column("listing_id", T.StringType(), "what was shown"),
        Column("clicked", T.BooleanType(), "the label"),
        Column("surface", T.StringType(), "field: surface"),
        Column("category", T.StringType(), "field: top category", nullable=True),
        Column("position_band", T.StringType(), "field: band of positions"),
        Column("position", T.IntegerType(), "place on the page, from 1"),
        Column("device", T.StringType(), "field: device", nullable=True),
        Column("country", T.StringType(), "field: country", nullable=True),
        Column("shop", T.StringType(), "field: shop", nullable=True),
        Column(
            "window_impressions", T.LongType(), "listing's impressions, search and promoted windows"
        ),
        Column("shop_window_impressions", T.LongType(), "the shop's, likewise"),
        Column("age_days", T.DoubleType(), "days since the listing was created", nullable=True),
        Column(
            "historical_listing",
            T.DoubleType(),
            "the listing's historical logit at the reference context",
        ),
        Column(
            "historical_context", T.DoubleType(), "what the request adds to the historical logit"
        ),
        Column(
            "content_listing",
            T.DoubleType(),
            "the listing's content logit at the reference context",
        ),
        Column("content_context", T.DoubleType(), "what the request adds to the content logit"),
        Column(
            "joint_listing", T.DoubleType(), "the listing's joint logit at the reference context"
        ),
        Column("joint_context", T.DoubleType(), "what the request adds to the joint logit"),
        Column(
            "listing_ratio",
            T.DoubleType(),
            "the listing's smoothed clicks to those expected at its positions",
        ),
        Column("p_baseline", T.DoubleType(), "smoothed click rate times a position factor"),
        DS,
    ),
    keys=("impression_id", "ds"),
)

SCORED_TRAFFIC = Table(
    name="scored_traffic",
    stage="models",
    grain="promoted impression",
    columns=(
        Column("impression_id", T.StringType(), "the impression"),
        Column("user_key", T.LongType(), "64-bit hash of the user"),
        Column("clicked", T.BooleanType(), "the label"),
        Column("segment", T.StringType(), "cold or warm"),
        Column("p_baseline", T.DoubleType(), "smoothed click rate times a position factor"),
        Column("p_historical", T.DoubleType(), "historical model alone"),
        Column("p_content", T.DoubleType(), "content model alone"),
        Column("p_ensemble", T.DoubleType(), "ensemble of these two, before calibration"),
        Column("p_joint", T.DoubleType(), "joint model alone"),
        Column("p_click", T.DoubleType(), "calibrated: what would have been published"),
        DS,
    ),
    keys=("impression_id", "ds"),
    constraints={"p_inside": "p_click > 0 AND p_click < 1"},
)

ENSEMBLE_WEIGHTS = Table(
    name="ensemble_weights",
    stage="models",
    grain="day and term",
    columns=(
        Column(
            "term", T.StringType(), "term of the logit, its two constants too, or `cold_threshold`"
        ),
        Column("weight", T.DoubleType(), "its weight; for cold_threshold the impressions"),
        Column("form", T.StringType(), "which form was fitted"),
        Column("reason", T.StringType(), "why not the full form", nullable=True),
        Column("rows", T.LongType(), "impressions fitted on"),
        Column("clicks", T.LongType(), "clicks among them"),
        DS,
    ),
    keys=("term", "ds"),
)

CALIBRATION_MAPS = Table(
    name="calibration_maps",
    stage="models",
    grain="day and knot or factor",
    columns=(
        Column("kind", T.StringType(), "map (the calibration curve) or factor (of a field value)"),
        Column("name", T.StringType(), "parameter, knot or field"),
        Column("value", T.StringType(), "field value; empty for the curve", nullable=True),
        Column("x", T.DoubleType(), "knot position, or expected clicks of a field value"),
        Column("y", T.DoubleType(), "parameter value, knot height, or factor"),
        DS,
    ),
    keys=("kind", "name", "value", "x", "ds"),
)

MODEL_METRICS = Table(
    name="model_metrics",
    stage="models",
    grain="day, model, segment and metric",
    columns=(
        _MODEL,
        Column(
            "segment",
            T.StringType(),
            "mixed (all), cold, warm; of model published also `<field>=<value>` of the calibration "
            "fields: nothing after = is unknown, other is all rare values together",
        ),
        Column("metric", T.StringType(), "name of the metric"),
        Column("value", T.DoubleType(), "estimate; null where it is undefined", nullable=True),
        Column(
            "low",
            T.DoubleType(),
            "lower end of the 95 % interval, by user; of field values, of the interval that holds "
            "for all values of the day together",
            nullable=True,
        ),
        Column(
            "high", T.DoubleType(), "its upper end; null also where none is known", nullable=True
        ),
        Column("rows", T.LongType(), "impressions judged"),
        Column("clicks", T.LongType(), "clicks among them"),
        Column("baseline", T.StringType(), "what a difference is taken to", nullable=True),
        Column("reason", T.StringType(), "why there is no value", nullable=True),
        DS,
    ),
    keys=("model", "segment", "metric", "ds"),
)

RELIABILITY = Table(
    name="reliability",
    stage="models",
    grain="day, model, segment and bin",
    columns=(
        _MODEL,
        _SEGMENT,
        Column("bin", T.IntegerType(), "bin number, by rising probability"),
        Column("expected", T.DoubleType(), "mean probability"),
        Column("observed", T.DoubleType(), "click rate"),
        Column("low", T.DoubleType(), "lower end of its 95 % interval"),
        Column("high", T.DoubleType(), "upper end of its 95 % interval"),
        Column("rows", T.LongType(), "impressions in the bin"),
        DS,
    ),
    keys=("model", "segment", "bin", "ds"),
)

CONTEXT_TERMS = Table(
    name="context_terms",
    stage="models",
    grain="day, model, namespace and value",
    columns=(
        Column(
            "model",
            T.StringType(),
            "historical, content, ensemble (of these two), joint, published",
        ),
        Column("namespace", T.StringType(), "context or pair namespace of the registry"),
        Column("value", T.StringType(), "value as text"),
        Column("logit", T.DoubleType(), "what the value adds to the logit"),
        Column("is_reference", T.BooleanType(), "part of the reference context"),
        DS,
    ),
    keys=("model", "namespace", "value", "ds"),
)

TABLES = (
    MODEL_WEIGHTS,
    TRAINING_RUNS,
    LISTING_LOGITS,
    PREDICTIONS,
    ENSEMBLE_WEIGHTS,
    CALIBRATION_MAPS,
    SCORED_TRAFFIC,
    MODEL_METRICS,
    RELIABILITY,
    CONTEXT_TERMS,
)

"""Stage scores: one click probability for every live promoted listing."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.table import DS, Column, Table

LISTING_SCORES = Table(
    name="listing_scores",
    stage="scores",
    grain="day and live promoted listing",
    columns=(
        Column("listing_id", T.StringType(), "the listing"),
        Column("p_click", T.DoubleType(), "calibrated click probability at the reference context"),
        Column("logit", T.DoubleType(), "listing part of the published logit, calibration aside"),
        Column("p_historical", T.DoubleType(), "historical model alone, reference context"),
        Column("p_content", T.DoubleType(), "content model alone, reference context"),
        Column("p_ensemble", T.DoubleType(), "ensemble of these two, reference context"),
        Column("p_joint", T.DoubleType(), "joint model alone, reference context"),
        Column("segment", T.StringType(), "cold or warm"),
        Column("window_impressions", T.LongType(), "impressions in the windows to the end of ds"),
        Column("standard_error", T.DoubleType(), "of the listing part of the logit"),
        Column("model_as_of", T.DateType(), "last day the models learnt"),
        Column("run_id", T.StringType(), "fingerprint of all that the score was made from"),
        DS,
    ),
    keys=("listing_id", "ds"),
    constraints={"p_inside": "p_click > 0 AND p_click < 1"},
    # A version that was published once may be published again by hand until its rows are removed.
    log_days=180,
)

CURRENT_SCORES = Table(
    name="current_scores",
    stage="scores",
    grain="live promoted listing of the newest published day",
    columns=(
        *LISTING_SCORES.columns[:-1],
        Column("scores_version", T.LongType(), "version of listing_scores that holds these rows"),
        DS,
    ),
    keys=("listing_id",),
    constraints=LISTING_SCORES.constraints,
    partition_by=(),
)

TABLES = (LISTING_SCORES, CURRENT_SCORES)

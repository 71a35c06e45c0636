"""Peer (c): Spark ML: FeatureHasher, LogisticRegression, isotonic calibration.

Trained once, on the rows of both surfaces before the first judged day. The calibration is fitted to
the last seven of these days as a model of the days before them predicts them; then all of them
are learnt. The features of a row, judged ones included, are those of the day before.
Not tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.feature import FeatureHasher, HashingTF, VectorAssembler
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.regression import IsotonicRegression
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

Setting = float | bool
CHOSEN: dict[str, Setting] = {"regParam": 1e-4, "standardization": False, "ids": True}
GRID: dict[str, tuple[Setting, ...]] = {
    "regParam": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3),
    "standardization": (False, True),
    "ids": (False, True),
}
_CALIBRATION_DAYS = 7
# Isotonic regression says 0 below the lowest click.
_LEAST = 1e-4
_BUCKETS = 1 << 17

_KEYS = {
    "listing": "listing_id",
    "shop": "shop_id",
    "leaf": "category",
    "user": "user_id",
    "query": "query",
    "query_leaf": "concat(query, '|', category)",
}
_IDS = ["listing_id", "shop_id", "user_id", "query", "user_top", "query_listing"]
_FIELDS = [
    "surface", "device", "country", "page_type", "hour", "weekday", "top", "branch", "category",
    "price_band", "relative_band", "age_band", "stock_band", "shipping", "material", "shared",
    "leaf_share",
]  # fmt: skip
_WITH_SURFACE = ["position", "device", "page_type", "category", "price_band", "age_band", "shared"]

_SHOWN = """
WITH listed AS (
    SELECT *, log2(price / avg(price) OVER (PARTITION BY category, ds)) AS relative
    FROM parquet.`{landing}/listings`
), first_clicks AS (
    SELECT impression_id, min(ts) AS clicked_at FROM parquet.`{landing}/clicks` GROUP BY 1
)
SELECT impression_id, i.ds, surface, position, device, country, hour(ts) AS hour,
    weekday(i.ds) AS weekday, i.attributes['page_type'] AS page_type, i.listing_id, shop_id,
    coalesce(user_id, 'none') AS user_id, coalesce(query, 'none') AS query, category,
    split(category, ' > ')[0] AS top, concat_ws('|', slice(split(category, ' > '), 1, 2)) AS branch,
    concat(user_id, '|', split(category, ' > ')[0]) AS user_top,
    concat(query, '|', i.listing_id) AS query_listing,
    l.attributes['shipping'] AS shipping, l.attributes['material'] AS material,
    round(2 * log2(price + 1)) AS price_band, round(2 * relative) AS relative_band,
    floor(log2(datediff(i.ds, created_ts) + 1)) AS age_band,
    floor(log2(quantity + 1)) AS stock_band,
    concat(
        transform(split(lower(title), ' '), word -> concat('t', word)),
        transform(tags, word -> concat('g', lower(word))),
        transform(split(nvl(query, ''), ' '), word -> concat('q', word))
    ) AS words,
    least(3, size(array_intersect(split(nvl(query, ''), ' '), split(lower(title), ' ')))) AS shared,
    image_vector AS image,
    int(coalesce(clicked_at < timestamp(i.ds) + INTERVAL 26 HOURS, false)) AS clicked
FROM parquet.`{landing}/impressions` AS i
LEFT JOIN first_clicks USING (impression_id)
LEFT JOIN listed AS l ON l.listing_id = i.listing_id AND l.ds = i.ds
"""

_PAST = (
    "sum({0}) OVER (PARTITION BY key ORDER BY ds ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
)
_HISTORY = f"""
WITH daily AS (
    SELECT {{key}} AS key, ds, count(*) AS shown, sum(clicked) AS clicks,
        sum(expected) AS expected, sum(if(surface = 'promoted', clicked, 0)) AS ad_clicks,
        sum(if(surface = 'promoted', expected, 0)) AS ad_expected
    FROM {{rows}} GROUP BY 1, 2
), past AS (
    SELECT key, ds, coalesce({_PAST.format("shown")}, 0) AS shown,
        coalesce({_PAST.format("clicks")}, 0) AS clicks,
        coalesce({_PAST.format("expected")}, 0) AS expected,
        coalesce({_PAST.format("ad_clicks")}, 0) AS ad_clicks,
        coalesce({_PAST.format("ad_expected")}, 0) AS ad_expected
    FROM daily
)
SELECT key AS {{name}}_key, ds, shown AS {{name}}_shown, floor(log2(shown + 1)) AS {{name}}_size,
    (clicks + 2) / (shown + 100) AS {{name}}_smoothed,
    round(3 * ln((clicks + 1) / (expected + 1))) AS {{name}}_rate,
    round(3 * ln((ad_clicks + 1) / (ad_expected + 1))) AS {{name}}_ad_rate
FROM past
"""


def _rows(spark: SparkSession, landing: Path) -> DataFrame:
    """Impressions with what was known of them at the end of the day before."""
    rows = spark.sql(_SHOWN.format(landing=landing)).withColumn("expected", F.lit(0.0))
    place = F.concat_ws("|", "surface", "position")
    keys = {"place": "concat(surface, '|', position)", **_KEYS}
    for name, key in keys.items():
        history = spark.sql(_HISTORY.format(name=name, key=key, rows="{rows}"), rows=rows)
        own = place if name == "place" else F.expr(key)
        rows = rows.join(
            history.withColumnRenamed("ds", "_ds"),
            (own == F.col(f"{name}_key")) & (F.col("ds") == F.col("_ds")),
        ).drop("_ds", f"{name}_key")
        if name == "place":
            # Read seven times from here on.
            rows = rows.withColumn("expected", F.col("place_smoothed")).cache()
    return rows


def _fields(rows: DataFrame, settings: dict[str, Setting]) -> tuple[DataFrame, list[str]]:
    """Columns to hash, all of them strings, and their names."""
    made = {
        "leaf_share": F.round(5 * F.col("query_leaf_shown") / (F.col("query_shown") + 1)),
        **{f"s_{name}": F.concat_ws("|", "surface", name) for name in _WITH_SURFACE},
    }
    for name in _KEYS:
        made[f"{name}_known"] = F.concat_ws("|", f"{name}_rate", f"{name}_size")
    rows = rows.withColumns(made)
    names = [*_FIELDS, *(f"s_{name}" for name in _WITH_SURFACE), *(_IDS if settings["ids"] else [])]
    for name in _KEYS:
        names += [f"{name}_rate", f"{name}_ad_rate", f"{name}_known"]
    return rows.withColumns({name: F.col(name).cast("string") for name in names}), names


def predict(
    landing: Path, judged: Sequence[date], *, settings: dict[str, Setting] = CHOSEN
) -> pa.Table:
    """Click probabilities of the promoted impressions of some days: impression_id, p."""
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    rows, names = _fields(_rows(spark, landing), settings)
    stages = [
        FeatureHasher(inputCols=names, outputCol="hashed", numFeatures=_BUCKETS),
        HashingTF(inputCol="words", outputCol="counted", numFeatures=_BUCKETS, binary=True),
        VectorAssembler(inputCols=["hashed", "counted", "image"], outputCol="features"),
    ]
    rows = rows.withColumn("image", array_to_vector("image"))
    kept = Pipeline(stages=stages).fit(rows).transform(rows)
    kept = kept.select("impression_id", "ds", "surface", "clicked", "features")
    kept = kept.where(F.col("ds") <= judged[-1]).coalesce(2).cache()
    held_out = judged[0] - timedelta(days=_CALIBRATION_DAYS)
    is_ad, day = F.col("surface") == "promoted", F.col("ds")
    earlier = _learn(kept.where(day < held_out), settings)
    fitted = _scored(earlier, kept.where(is_ad & (day >= held_out) & (day < judged[0])))
    isotonic = IsotonicRegression(labelCol="clicked", featuresCol="raw").fit(fitted)
    model = _learn(kept.where(day < judged[0]), settings)
    asked = _scored(model, kept.where(is_ad & (day >= judged[0])))
    p = F.greatest("prediction", F.lit(_LEAST)).alias("p")
    table = isotonic.transform(asked).select("impression_id", p).toArrow()
    spark.stop()
    return table


def _learn(rows: DataFrame, settings: dict[str, Setting]) -> LogisticRegressionModel:
    return LogisticRegression(
        labelCol="clicked", maxIter=50, regParam=settings["regParam"],
        standardization=settings["standardization"],
    ).fit(rows)  # fmt: skip


def _scored(model: LogisticRegressionModel, rows: DataFrame) -> DataFrame:
    scored = model.transform(rows).drop("prediction")
    return scored.withColumn("raw", vector_to_array("probability")[1])

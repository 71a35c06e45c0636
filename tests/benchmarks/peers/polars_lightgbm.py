"""Peer (b): features by Polars, learnt by LightGBM with early stopping on the days that follow.

Trained once, on the rows of both surfaces before the first judged day: the number of trees is the
best one on the last five of these days, then all of them are learnt with it. The features of a
row, judged ones included, are those of the day before. What is CHOSEN is tuned (GRID).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import lightgbm as lgb
import polars as pl
import pyarrow as pa

CHOSEN: dict[str, float] = {
    "num_leaves": 7, "min_data_in_leaf": 1000, "lambda_l2": 100.0, "feature_fraction": 0.3,
}  # fmt: skip
GRID: dict[str, tuple[float, ...]] = {
    "num_leaves": (7, 15, 31),
    "min_data_in_leaf": (50, 200, 1000),
    "lambda_l2": (1.0, 10.0, 100.0),
    "feature_fraction": (0.3, 0.5, 0.8),
}
# One thread: threads that wait for each other burn CPU seconds, which are compared.
_FIXED = {
    "objective": "binary", "learning_rate": 0.05, "bagging_fraction": 0.8, "bagging_freq": 1,
    "cat_smooth": 50, "num_threads": 1, "seed": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
_MAX_TREES = 1000
_PATIENCE = 50
_HELD_OUT_DAYS = 5
# At the start rows have hardly a history.
_WARM_UP_DAYS = 3

_KEYS = {
    "listing": ["listing_id"], "shop": ["shop_id"], "leaf": ["category"], "top": ["top"],
    "user": ["user_id"], "query": ["query"], "query_leaf": ["query", "category"],
    "user_top": ["user_id", "top"], "query_listing": ["query", "listing_id"],
}  # fmt: skip
_CATEGORIES = ["surface", "device", "country", "page_type", "category", "shipping", "material"]
_NUMBERS = [
    "position", "hour", "weekday", "price", "relative_price", "quantity", "age_days",
    "query_words", "shared_words", "leaf_share",
]  # fmt: skip
_SUMS = ["shown", "clicks", "expected", "ad_clicks", "ad_expected"]


def _words(column: str) -> pl.Expr:
    text = pl.col(column).fill_null("").str.to_lowercase()
    return text.str.extract_all(r"[\p{L}\p{M}\p{N}]+")


def _listed(landing: Path) -> pl.DataFrame:
    """Properties of each listing on each day."""
    listings = pl.read_parquet(f"{landing}/listings/*/*.parquet", hive_partitioning=True)
    age = pl.col("ds") - pl.col("created_ts").dt.date()
    mean_price = pl.col("price").mean().over("category", "ds")
    return listings.select(
        "ds", "listing_id", "shop_id", "category", "price", "quantity",
        top=pl.col("category").str.split(" > ").list.first(),
        relative_price=pl.col("price") / mean_price,
        age_days=age.dt.total_days(),
        shipping=pl.col("attributes").map.get("shipping"),
        material=pl.col("attributes").map.get("material"),
        title=_words("title"),
        tags=pl.col("tags").fill_null([]),
        image=pl.col("image_vector"),
    )  # fmt: skip


def _shown(landing: Path, listed: pl.DataFrame) -> pl.DataFrame:
    """Impressions with their listing, and whether they were clicked by two hours after the day."""
    shown = pl.read_parquet(f"{landing}/impressions/*/*.parquet", hive_partitioning=True)
    clicks = pl.read_parquet(f"{landing}/clicks/*/*.parquet", hive_partitioning=True)
    clicks = clicks.group_by("impression_id").agg(clicked_at=pl.col("ts").min())
    in_time = pl.col("clicked_at") < (
        pl.col("ds").cast(pl.Datetime("us", "UTC")).dt.offset_by("26h")
    )
    return (
        shown.join(clicks, on="impression_id", how="left")
        .join(listed.drop("tags", "image"), on=["listing_id", "ds"], how="left")
        .with_columns(
            is_ad=pl.col("surface") == "promoted",
            clicked=in_time.fill_null(False).cast(pl.Int32),
            page_type=pl.col("attributes").map.get("page_type"),
            hour=pl.col("ts").dt.hour(),
            weekday=pl.col("ds").dt.weekday(),
            query_words=_words("query").list.len(),
            shared_words=_words("query").list.set_intersection("title").list.len(),
        )
        .drop("attributes", "title", "clicked_at", "request_id")
        .sort("ds", "ts", "impression_id")
    )


def _before(daily: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Sums over the days before, for each key and day."""
    sums = [column for column in _SUMS if column in daily.columns]
    return daily.sort(*key, "ds").with_columns(pl.col(sums).cum_sum().over(key) - pl.col(sums))


def _rates(name: str) -> list[pl.Expr]:
    """Clicks over those expected for the places, on both surfaces and as promoted."""
    return [
        ((pl.col(f"{kind}clicks") + 1) / (pl.col(f"{kind}expected") + 1))
        .log().cast(pl.Float32).alias(f"{name}_{kind}rate")
        for kind in ("", "ad_")
    ]  # fmt: skip


def _with_history(shown: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """Add what was known of every key at the end of the day before."""
    place = ["surface", "position"]
    places = shown.group_by(*place, "ds").agg(shown=pl.len(), clicks=pl.col("clicked").sum())
    places = _before(places, place).select(
        *place, "ds", expected_one=(pl.col("clicks") + 2) / (pl.col("shown") + 100)
    )
    shown = shown.join(places, on=[*place, "ds"], how="left")
    counted = {
        "shown": pl.len(),
        "clicks": pl.col("clicked").sum(),
        "expected": pl.col("expected_one").sum(),
        "ad_clicks": pl.col("clicked").filter("is_ad").sum(),
        "ad_expected": pl.col("expected_one").filter("is_ad").sum(),
    }
    added = shown
    for name, key in _KEYS.items():
        daily = shown.group_by(*key, "ds").agg(**counted)
        history = _before(daily, key).select(
            *key, "ds", pl.col("shown").cast(pl.Float32).alias(f"{name}_shown"), *_rates(name)
        )
        added = added.join(history, on=[*key, "ds"], how="left")
    listings = shown.group_by("listing_id", "ds").agg(**counted)
    for name in ("title", "tags"):
        words = listed.select("listing_id", "ds", word=name).join(listings, on=["listing_id", "ds"])
        words = words.explode("word").drop_nulls("word")
        daily = words.group_by("word", "ds").agg(pl.col(_SUMS).sum())
        known = _before(daily, ["word"]).select("word", "ds", *_rates(name))
        of_listing = words.select("listing_id", "ds", "word").join(known, on=["word", "ds"])
        means = of_listing.group_by("listing_id", "ds").agg(
            pl.col(f"{name}_rate", f"{name}_ad_rate").mean()
        )
        added = added.join(means, on=["listing_id", "ds"], how="left")
    return added.with_columns(leaf_share=pl.col("query_leaf_shown") / (pl.col("query_shown") + 1))


def predict(
    landing: Path, judged: Sequence[date], *, settings: dict[str, float] = CHOSEN
) -> pa.Table:
    """Click probabilities of the promoted impressions of some days: impression_id, p."""
    listed = _listed(landing)
    rows = _with_history(_shown(landing, listed), listed)
    width = listed["image"].list.len().max() or 0
    images = listed.select(
        "listing_id", "ds", *[pl.col("image").list.get(k).alias(f"image_{k}") for k in range(width)]
    )
    rows = rows.join(images, on=["listing_id", "ds"], how="left").with_columns(
        pl.col(_CATEGORIES).cast(pl.Categorical).to_physical()
    )
    history = [name for name in rows.columns if name.endswith(("_rate", "_shown"))]
    names = [*_CATEGORIES, *_NUMBERS, *history, *images.columns[2:]]
    first = rows["ds"].min() + timedelta(days=_WARM_UP_DAYS)
    learnt = rows.filter(pl.col("ds") >= first, pl.col("ds") < judged[0])
    is_held_out = learnt["ds"] >= judged[0] - timedelta(days=_HELD_OUT_DAYS)

    def dataset(part: pl.DataFrame, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        return lgb.Dataset(
            part.select(pl.col(names).cast(pl.Float32)).to_numpy(), part["clicked"].to_numpy(),
            feature_name=names, categorical_feature=_CATEGORIES, reference=reference,
        )  # fmt: skip

    earlier = dataset(learnt.filter(~is_held_out))
    stopped = lgb.train(
        _FIXED | settings, earlier, _MAX_TREES,
        valid_sets=[dataset(learnt.filter(is_held_out), earlier)],
        callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
    )  # fmt: skip
    model = lgb.train(_FIXED | settings, dataset(learnt), stopped.best_iteration)
    asked = rows.filter(pl.col("ds").is_in(judged), "is_ad")
    p = model.predict(asked.select(pl.col(names).cast(pl.Float32)).to_numpy())
    return pa.table({"impression_id": asked["impression_id"].to_arrow(), "p": p})

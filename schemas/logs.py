"""Stage logs: what was shown and clicked, what was refused, and how often."""

from __future__ import annotations

from pyspark.sql import types as T

from schemas.table import DS, Column, Table

_STRING_MAP = T.MapType(T.StringType(), T.StringType(), True)

IMPRESSION_COLUMNS = (
    Column("impression_id", T.StringType(), "id of one listing shown once"),
    Column("ts", T.TimestampType(), "time of the impression (UTC)"),
    Column("surface", T.StringType(), "`search` (organic) or `promoted`"),
    Column("request_id", T.StringType(), "id of the results page"),
    Column("user_id", T.StringType(), "who saw it, where known", nullable=True),
    Column("query", T.StringType(), "search text of the page, where there is one", nullable=True),
    Column("listing_id", T.StringType(), "what was shown"),
    Column("position", T.IntegerType(), "place on the page, from 1"),
    Column("device", T.StringType(), "device class", nullable=True),
    Column("country", T.StringType(), "country of the user", nullable=True),
    Column("attributes", _STRING_MAP, "anything else known at the impression", nullable=True),
)

CLICK_COLUMNS = (
    Column("click_id", T.StringType(), "id of the click"),
    Column("impression_id", T.StringType(), "the impression clicked"),
    Column("ts", T.TimestampType(), "time of the click (UTC)"),
)

LISTING_COLUMNS = (
    Column("listing_id", T.StringType(), "id of the listing"),
    Column("shop_id", T.StringType(), "the seller's shop"),
    Column("title", T.StringType(), "title as shown"),
    Column("tags", T.ArrayType(T.StringType(), True), "the seller's tags", nullable=True),
    Column("category", T.StringType(), "category path `a > b > c`"),
    Column("price", T.DoubleType(), "price in the marketplace's currency", nullable=True),
    Column("quantity", T.IntegerType(), "items in stock", nullable=True),
    Column("created_ts", T.TimestampType(), "when it was listed (UTC)", nullable=True),
    Column("is_promoted", T.BooleanType(), "whether it is in a campaign that day"),
    Column("image_vector", T.ArrayType(T.FloatType(), True), "image embedding", nullable=True),
    Column("attributes", _STRING_MAP, "anything else known of the listing", nullable=True),
)

LOGS = {"impressions": IMPRESSION_COLUMNS, "clicks": CLICK_COLUMNS, "listings": LISTING_COLUMNS}
"""The canonical logs: what a source's three SELECTs yield, by name."""

ID_COLUMN = {"impressions": "impression_id", "clicks": "click_id", "listings": "listing_id"}
"""What is unique within a log and day."""

_SURFACE_KNOWN = {"surface_known": "surface IN ('search', 'promoted')"}

IMPRESSIONS = Table(
    name="impressions",
    stage="logs",
    grain="impression",
    columns=(*IMPRESSION_COLUMNS, DS),
    keys=("impression_id", "ds"),
    constraints={**_SURFACE_KNOWN, "position_from_1": "position >= 1"},
)

CLICKS = Table(
    name="clicks",
    stage="logs",
    grain="click",
    columns=(
        *CLICK_COLUMNS,
        Column("impression_ds", T.DateType(), "log day of the impression clicked"),
        Column("impression_ts", T.TimestampType(), "time of that impression (UTC)"),
        Column("user_id", T.StringType(), "who saw that impression, where known", nullable=True),
        Column("listing_id", T.StringType(), "what was clicked"),
        DS,
    ),
    keys=("click_id", "ds"),
    constraints={"impression_not_later": "impression_ds <= ds"},
)

LISTINGS = Table(
    name="listings",
    stage="logs",
    grain="listing and day",
    columns=(*LISTING_COLUMNS, DS),
    keys=("listing_id", "ds"),
    constraints={"price_not_negative": "price IS NULL OR price >= 0"},
)

QUARANTINE = Table(
    name="quarantine",
    stage="logs",
    grain="refused row",
    columns=(
        Column("log", T.StringType(), "impressions, clicks or listings"),
        Column("raw", T.StringType(), "the refused row as JSON, or its text if it is no JSON"),
        Column("reasons", T.ArrayType(T.StringType(), False), "every reason it was refused for"),
        Column("run_id", T.StringType(), "the run that refused it"),
        DS,
    ),
    keys=(),
    constraints={"log_known": "log IN ('impressions', 'clicks', 'listings')"},
)

LABELED_IMPRESSIONS = Table(
    name="labeled_impressions",
    stage="logs",
    grain="impression",
    columns=(
        *IMPRESSION_COLUMNS,
        Column("clicked", T.BooleanType(), "clicked within the window and before the cut-off"),
        Column("click_delay_s", T.IntegerType(), "seconds to the first such click", nullable=True),
        Column("is_valid_traffic", T.BooleanType(), "false for bursts that no person makes"),
        DS,
    ),
    keys=("impression_id", "ds"),
    constraints={
        **_SURFACE_KNOWN,
        "delay_not_negative": "click_delay_s IS NULL OR click_delay_s >= 0",
    },
)


ENTITY_COUNTS = Table(
    name="entity_counts",
    stage="logs",
    grain="day, entity and surface",
    columns=(
        Column("entity_type", T.StringType(), "listing, shop, category, query, user or position"),
        Column("entity_id", T.StringType(), "id within its type"),
        Column("surface", T.StringType(), "`search` or `promoted`"),
        Column("impressions", T.LongType(), "valid impressions of the day"),
        Column("clicks", T.LongType(), "clicked impressions of the day"),
        Column(
            "expected_clicks_micro",
            T.LongType(),
            "clicks that the positions alone would have given, in millionths",
        ),
        DS,
    ),
    keys=("entity_type", "entity_id", "surface", "ds"),
    constraints={
        **_SURFACE_KNOWN,
        "clicks_in_impressions": "clicks >= 0 AND clicks <= impressions",
    },
)

TABLES = (IMPRESSIONS, CLICKS, LISTINGS, QUARANTINE, LABELED_IMPRESSIONS, ENTITY_COUNTS)

"""Arrow tables of the canonical logs of one simulated day."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import day_number
from pipelines.simulation.audience import COUNTRIES, DEVICES
from pipelines.simulation.clicks import Clicks
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.listings import price_on
from pipelines.simulation.pages import PAGE_TYPES, SURFACES
from pipelines.simulation.randomness import Ints, hex_ids, mix64, stream_key
from pipelines.simulation.traffic import Traffic
from pipelines.simulation.world import World
from pipelines.splitmix import Words

TIMESTAMP = pa.timestamp("us", tz="UTC")
_ATTRIBUTES = pa.map_(pa.string(), pa.string())
IMPRESSIONS = pa.schema(
    [
        ("impression_id", pa.string()),
        ("ts", TIMESTAMP),
        ("surface", pa.string()),
        ("request_id", pa.string()),
        ("user_id", pa.string()),
        ("query", pa.string()),
        ("listing_id", pa.string()),
        ("position", pa.int32()),
        ("device", pa.string()),
        ("country", pa.string()),
        ("attributes", _ATTRIBUTES),
    ]
)
CLICKS = pa.schema([("click_id", pa.string()), ("impression_id", pa.string()), ("ts", TIMESTAMP)])
LISTINGS = pa.schema(
    [
        ("listing_id", pa.string()),
        ("shop_id", pa.string()),
        ("title", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("category", pa.string()),
        ("price", pa.float64()),
        ("quantity", pa.int32()),
        ("created_ts", TIMESTAMP),
        ("is_promoted", pa.bool_()),
        ("image_vector", pa.list_(pa.float32())),
        ("attributes", _ATTRIBUTES),
    ]
)
_LONG_DICTIONARY = 50_000
_MATERIALS = ("wood", "glass", "cotton", "silver", "paper", "clay")


def day_start_us(config: SimulationConfig, day: int) -> int:
    """Microseconds from the epoch to the start of a day index (UTC)."""
    return (day_number(config.start) + day) * 86_400_000_000


def impression_keys(config: SimulationConfig, traffic: Traffic) -> Words:
    """Distinct 64-bit keys of the impressions over all days and surfaces."""
    rows = np.arange(len(traffic.listing), dtype=np.uint64)
    return _row_keys(config, "impression", traffic, rows)


def _row_keys(config: SimulationConfig, what: str, traffic: Traffic, rows: Words) -> Words:
    # Injective before the bijective mixing: day, surface and row have bits of their own.
    place = np.uint64((traffic.day << 40) | (traffic.surface << 39))
    return mix64((place | rows) ^ stream_key(config.seed, what))


def impressions_table(world: World, config: SimulationConfig, traffic: Traffic) -> pa.Table:
    """Canonical impressions of one surface and day; repeated texts are dictionary arrays."""
    count = len(traffic.listing)
    request = _row_keys(config, "request", traffic, traffic.page.astype(np.uint64))
    columns = [
        hex_ids(impression_keys(config, traffic)),
        pa.array(traffic.ts_us + day_start_us(config, traffic.day)).cast(TIMESTAMP),
        _coded(np.full(count, traffic.surface), pa.array(SURFACES)),
        hex_ids(request),
        _coded(traffic.user, world.names["user"]),
        _coded(traffic.query, world.names["query"]),
        _coded(traffic.listing, world.names["listing"]),
        pa.array(traffic.position.astype(np.int32)),
        _coded(traffic.device, pa.array(DEVICES)),
        _coded(traffic.country, pa.array(COUNTRIES)),
        _pairs({"page_type": _coded(traffic.page_type, pa.array(PAGE_TYPES))}),
    ]
    return pa.table(columns, names=IMPRESSIONS.names)


def clicks_table(config: SimulationConfig, traffic: Traffic, clicks: Clicks) -> pa.Table:
    """Canonical clicks on one surface and day's impressions, whatever day they land on."""
    keys = impression_keys(config, traffic)[clicks.row]
    salt = stream_key(config.seed, "click") + clicks.repeat.astype(np.uint64)
    start = day_start_us(config, traffic.day)
    columns = [
        hex_ids(mix64(mix64(keys) ^ salt)),
        hex_ids(keys),
        pa.array(clicks.ts_us + start).cast(TIMESTAMP),
    ]
    return pa.Table.from_arrays(columns, schema=CLICKS)


def listings_table(world: World, config: SimulationConfig, day: int) -> pa.Table:
    """Canonical snapshot of all listings that are live on a day index."""
    catalogue = world.catalogue
    live = catalogue.live(day)
    words = pa.array(world.vocabulary.words)
    sold = (day - catalogue.first_day[live]) * (1 + live % 3) // 2
    stock = catalogue.stock[live]
    created = catalogue.created_us[live] + day_start_us(config, 0)
    shipping = pa.array(("paid", "free"))
    columns = [
        world.names["listing"].take(pa.array(live)),
        world.names["shop"].take(pa.array(catalogue.shop[live])),
        pc.binary_join(_lists(catalogue.words[live], words), " "),
        _lists(catalogue.tags[live], words),
        pa.array(world.vocabulary.category_paths).take(pa.array(catalogue.category[live])),
        pa.array(price_on(catalogue, live, day, config.seed)),
        pa.array((1 + (stock - sold) % stock).astype(np.int32)),
        pa.array(created).cast(TIMESTAMP),
        pa.array(catalogue.is_promoted[live]),
        _images(world, live),
        _pairs(
            {
                "material": _coded(live % len(_MATERIALS), pa.array(_MATERIALS)),
                "shipping": _coded(catalogue.is_free_shipping[live].astype(np.int64), shipping),
            }
        ),
    ]
    return pa.Table.from_arrays(columns, schema=LISTINGS)


def _coded(codes: Ints, texts: pa.Array) -> pa.DictionaryArray:
    """Dictionary array; negative codes are null.

    A long dictionary is cut to what occurs: Parquet would write it whole and not use it.
    """
    if len(texts) > _LONG_DICTIONARY:
        occurring, codes = np.unique(codes, return_inverse=True)
        unknown = int(occurring[0] < 0)
        texts, codes = texts.take(pa.array(occurring[unknown:])), codes - unknown
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, texts)


def _lists(codes: Ints, texts: pa.Array) -> pa.ListArray:
    """Lists of texts of the rows' non-negative codes."""
    present = codes >= 0
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), texts.take(pa.array(codes[present])))


def _images(world: World, live: Ints) -> pa.Array:
    vectors = world.catalogue.image[live]
    if not vectors.shape[1]:
        return pa.nulls(len(live), pa.list_(pa.float32()))
    offsets = np.arange(len(live) + 1, dtype=np.int32) * vectors.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.ravel()))


def _pairs(columns: dict[str, pa.DictionaryArray]) -> pa.MapArray:
    """Map column with the same keys in every row."""
    count = len(next(iter(columns.values())))
    width = len(columns)
    slot = np.arange(count * width)
    names = pa.array(list(columns)).take(pa.array(slot % width))
    stacked = pa.concat_arrays([column.dictionary_decode() for column in columns.values()])
    values = stacked.take(pa.array(slot % width * count + slot // width))
    offsets = pa.array(np.arange(count + 1, dtype=np.int32) * width)
    return pa.MapArray.from_arrays(offsets, names, values)

"""Encodings of numbers, times, rates and counts: one whole number a row, mostly a band."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import day_numbers, weekdays
from pipelines.features.batch import Batch
from pipelines.features.tokens import Tokens, integers

QUARTER_STEPS = 40
# Edges of quarter steps of the natural logarithm, as numbers: comparing with them is exact where a
# logarithm is not the same on every machine.
_RATIO_EDGES = np.array([math.exp(k / 4) for k in range(-QUARTER_STEPS, QUARTER_STEPS + 1)])


def _numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    """A column as numbers; text that is none, and null, as NaN."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        good = pc.match_substring_regex(values, r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
        trimmed = pc.utf8_trim_whitespace(pc.if_else(pc.fill_null(good, False), values, None))
        values = trimmed.cast(pa.float64())
    values = values.cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def encode_log_band(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Half powers of two of a number of any size; not positive is band -99, missing has none."""
    values = _numbers(batch.column(inputs[0]))
    edges = np.array([2.0 ** (k / 2) for k in range(-20, 61)])
    bands = np.searchsorted(edges, np.nan_to_num(values, nan=0.0), side="right") - 20
    bands = np.where(np.nan_to_num(values, nan=0.0) > 0, bands, -99)
    return integers(bands.astype(np.int64), ~np.isnan(values))


def encode_number(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """A whole number as it is; missing has none."""
    values = _numbers(batch.column(inputs[0]))
    return integers(np.nan_to_num(np.floor(values), nan=0.0).astype(np.int64), ~np.isnan(values))


def encode_age_band(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Powers of two of the days from a time to the batch row's day."""
    age = age_days(batch.column(inputs[0]), batch.column("ds"))
    edges = np.array([0.0, *(2.0**k for k in range(13))])
    bands = np.searchsorted(edges, np.nan_to_num(age, nan=0.0), side="right") - 1
    return integers(np.maximum(bands, 0).astype(np.int64), ~np.isnan(age))


def age_days(created: pa.Array, ds: pa.Array) -> npt.NDArray[np.float64]:
    """Days from a timestamp to the end of the day, shape (n,); NaN where there is none."""
    micros = created.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    days = np.asarray(micros.cast(pa.float64()).to_numpy(zero_copy_only=False)) / 86_400e6
    return np.asarray(day_numbers(ds) + 1.0 - days, dtype=np.float64)


def encode_rate_band(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Quarter steps of the log of a smoothed click ratio, ``<entity>.<surface>``."""
    entity, surface = inputs[0].split(".")
    ratio = batch.rates.ratio(entity, surface)
    return integers(np.searchsorted(_RATIO_EDGES, ratio, side="right") - QUARTER_STEPS - 1)


def encode_count_band(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Powers of two of a window's impressions, ``<entity>.<surface>``; 0 is its own band."""
    entity, surface = inputs[0].split(".")
    impressions = batch.rates.sums(entity, surface, "impressions")
    edges = 2 ** np.arange(40, dtype=np.int64)
    return integers(np.searchsorted(edges, impressions, side="right").astype(np.int64))


def encode_weekday(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Day of the week of a date column, 1 is Monday."""
    return integers(weekdays(day_numbers(batch.column(inputs[0]))) + 1)


def encode_weekend(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Whether a date is a Saturday or Sunday (1) or not (0)."""
    days = weekdays(day_numbers(batch.column(inputs[0])))
    return integers((days >= 5).astype(np.int64))


def encode_hour(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Hour of the day of a timestamp, 0 to 23, UTC; missing has none."""
    times = batch.column(inputs[0])
    micros = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    valid = None if times.null_count == 0 else ~np.asarray(times.is_null())
    hours = micros.fill_null(0).to_numpy(zero_copy_only=False) // 3_600_000_000 % 24
    return integers(hours.astype(np.int64), valid)

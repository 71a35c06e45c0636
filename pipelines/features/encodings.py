"""Encodings: from the columns of a batch to the feature values of its rows.

Each gives `Tokens`: distinct values once, and per row the numbers of its values. Hashing and
naming then touch every distinct value once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.features.hashing import hash_strings
from pipelines.features.rates import Rates, days_since_1970
from pipelines.features.rows import SlotRows
from pipelines.features.text import documents, unigrams

Ints = npt.NDArray[np.int64]
QUARTER_STEPS = 40
# Edges of quarter steps of the natural logarithm, as numbers: comparing with them is exact where a
# logarithm is not the same on every machine.
_RATIO_EDGES = np.array([math.exp(k / 4) for k in range(-QUARTER_STEPS, QUARTER_STEPS + 1)])


@dataclass(frozen=True)
class Tokens:
    """Feature values of n rows.

    Attributes
    ----------
    labels : pyarrow.StringArray
        The distinct values.
    codes : numpy.ndarray of int64
        Numbers into `labels`, all rows in order.
    offsets : numpy.ndarray of int64, shape (n + 1,), or None
        Row i holds ``codes[offsets[i]:offsets[i + 1]]``; None means one value a row.
    valid : numpy.ndarray of bool, shape (n,), or None
        With one value a row: which rows have it; None means all.
    """

    labels: pa.StringArray
    codes: Ints
    offsets: Ints | None = None
    valid: npt.NDArray[np.bool_] | None = None

    def slots(self, namespace: str) -> SlotRows:
        """Hash the values under a namespace."""
        if len(self.labels) == 0:
            rows = len(self.offsets) - 1 if self.offsets is not None else len(self.codes)
            return SlotRows(np.zeros(rows + 1, dtype=np.int64), np.empty(0, dtype=np.int32))
        hashed = hash_strings(namespace, self.labels)[self.codes]
        if self.offsets is not None:
            return SlotRows.from_lists(self.offsets, hashed)
        return SlotRows.from_column(hashed, self.valid)

    def counts(self) -> Ints:
        """How often each distinct value occurs, shape (len(labels),)."""
        codes = self.codes if self.valid is None else self.codes[self.valid]
        return np.bincount(codes, minlength=len(self.labels)).astype(np.int64)


@dataclass
class Batch:
    """The columns of a batch and what several encodings share of them."""

    columns: pa.RecordBatch
    strengths: Mapping[tuple[int, str, str], float]

    @cached_property
    def rates(self) -> Rates:
        """Smoothed ratios, each computed once."""
        return Rates(self.columns, self.strengths)

    def column(self, name: str) -> pa.Array:
        """A column, or the value of one attribute by ``attributes.<key>``."""
        if "." in name:
            holder, key = name.split(".", 1)
            return map_value(self.columns.column(holder), key)
        return self.columns.column(name)


def map_value(attributes: pa.Array, key: str) -> pa.Array:
    """The value of one key of a map column; null where it is not there."""
    if attributes.null_count == len(attributes):
        return pa.nulls(len(attributes), pa.string())
    return pc.map_lookup(attributes, pa.scalar(key), "first").cast(pa.string())


def _numbers(values: pa.Array) -> npt.NDArray[np.float64]:
    """A column as numbers; text that is none, and null, as NaN."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        good = pc.match_substring_regex(values, r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
        trimmed = pc.utf8_trim_whitespace(pc.if_else(pc.fill_null(good, False), values, None))
        values = trimmed.cast(pa.float64())
    values = values.cast(pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def integers(values: Ints, valid: npt.NDArray[np.bool_] | None = None) -> Tokens:
    """One integer a row."""
    kinds, codes = np.unique(values, return_inverse=True)
    labels = pa.array([str(kind) for kind in kinds.tolist()], pa.string())
    return Tokens(labels, codes.astype(np.int64), None, valid)


def strings(values: pa.Array) -> Tokens:
    """One string a row; null has none."""
    encoded = values.cast(pa.string()).dictionary_encode()
    valid = None if values.null_count == 0 else ~np.asarray(values.is_null())
    codes = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return Tokens(encoded.dictionary, codes, None, valid)


def lists(values: pa.ListArray) -> Tokens:
    """Any number of strings a row; null rows and null entries have none."""
    if values.null_count or values.values.null_count:
        kept = pc.list_flatten(values)
        parents = pc.list_parent_indices(values)
        good = kept.is_valid()
        kept, parents = kept.filter(good), parents.filter(good).to_numpy()
        offsets = np.searchsorted(parents, np.arange(len(values) + 1))
        encoded = kept.cast(pa.string()).dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        return Tokens(encoded.dictionary, codes, offsets.astype(np.int64))
    flat = values.flatten()
    offsets = values.offsets.to_numpy().astype(np.int64)
    encoded = flat.cast(pa.string()).dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Tokens(encoded.dictionary, codes, offsets - offsets[0])


def encode_constant(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The same value in every row: the bias."""
    return Tokens(pa.array(["1"]), np.zeros(batch.columns.num_rows, dtype=np.int64))


def encode_identity(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """A column's own value."""
    return strings(batch.column(inputs[0]))


def encode_unigrams(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The lower-case words of a text."""
    return lists(unigrams(batch.column(inputs[0])))


def encode_words(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The words of a title and of its tags together: what a query is matched with."""
    return lists(documents(batch.column(inputs[0]), batch.column(inputs[1])))


def encode_list(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """The lower-case entries of a list."""
    found = lists(batch.column(inputs[0]))
    lowered = pc.utf8_lower(found.labels).dictionary_encode()
    codes = lowered.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return Tokens(lowered.dictionary, codes[found.codes], found.offsets)


def encode_path_levels(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Every prefix of a path `a > b > c`: a, a > b, a > b > c."""
    paths = strings(batch.column(inputs[0]))
    if len(paths.labels) == 0:
        return Tokens(paths.labels, paths.codes[:0], np.zeros(len(paths.codes) + 1, dtype=np.int64))
    levels: list[list[str]] = []
    for path in paths.labels.to_pylist():
        parts = [part.strip() for part in path.split(">") if part.strip()]
        levels.append([" > ".join(parts[: depth + 1]) for depth in range(len(parts))])
    per_label = lists(pa.array(levels, pa.list_(pa.string())))
    ends = per_label.offsets if per_label.offsets is not None else np.zeros(1, dtype=np.int64)
    lengths = np.diff(ends)[paths.codes]
    if paths.valid is not None:
        lengths = np.where(paths.valid, lengths, 0)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = ends[:-1][paths.codes]
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    codes = per_label.codes[np.repeat(starts, lengths) + within]
    return Tokens(per_label.labels, codes, offsets)


def encode_log_band(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Half powers of two of a number of any size; not positive is band -1, missing has none."""
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
    return np.asarray(days_since_1970(ds) + 1.0 - days, dtype=np.float64)


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
    days = days_since_1970(batch.column(inputs[0])).astype(np.int64)
    return integers((days + 3) % 7 + 1)


def encode_hour(batch: Batch, inputs: tuple[str, ...]) -> Tokens:
    """Hour of the day of a timestamp, 0 to 23, UTC; missing has none."""
    times = batch.column(inputs[0])
    micros = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    valid = None if times.null_count == 0 else ~np.asarray(times.is_null())
    hours = micros.fill_null(0).to_numpy(zero_copy_only=False) // 3_600_000_000 % 24
    return integers(hours.astype(np.int64), valid)


def cross(parts: list[Tokens]) -> Tokens:
    """Values of several one-value namespaces together, joined by `|`.

    Raises
    ------
    ValueError
        A part holds lists.
    """
    if any(part.offsets is not None for part in parts):
        raise ValueError("a cross takes namespaces of one value a row")
    combined = np.zeros(len(parts[0].codes), dtype=np.int64)
    for part in parts:
        combined = combined * max(len(part.labels), 1) + part.codes
    kinds, codes = np.unique(combined, return_inverse=True)
    columns: list[list[str]] = []
    rest = kinds
    for part in reversed(parts):
        size = max(len(part.labels), 1)
        names = np.array([*part.labels.to_pylist(), ""], dtype=object)
        columns.insert(0, names[rest % size].tolist())
        rest = rest // size
    labels = pa.array(["|".join(values) for values in zip(*columns, strict=True)], pa.string())
    masks = [part.valid for part in parts if part.valid is not None]
    valid = np.logical_and.reduce(masks) if masks else None
    return Tokens(labels, codes.astype(np.int64), None, valid)


ENCODINGS: dict[str, Callable[[Batch, tuple[str, ...]], Tokens]] = {
    "constant": encode_constant,
    "identity": encode_identity,
    "unigrams": encode_unigrams,
    "words": encode_words,
    "list": encode_list,
    "path_levels": encode_path_levels,
    "log_band": encode_log_band,
    "number": encode_number,
    "age_band": encode_age_band,
    "rate_band": encode_rate_band,
    "count_band": encode_count_band,
    "weekday": encode_weekday,
    "hour": encode_hour,
}
"""Encodings of one namespace's own inputs; `cross` and the pair encodings read other namespaces."""

LIST_ENCODINGS = ("unigrams", "words", "list", "path_levels")
"""Encodings that give any number of values a row: no cross takes them."""

PAIR_ENCODINGS = ("shared_words", "shared_word_count")
ALL_ENCODINGS = (*ENCODINGS, "cross", *PAIR_ENCODINGS)

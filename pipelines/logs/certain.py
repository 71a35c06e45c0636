"""Rows that are certainly good, found over Arrow buffers.

A row that passes is one that `validation.with_checks` refuses for nothing. One that does not pass
need not be bad: it is only left to Spark, which knows every reason by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import reduce

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import day_number
from schemas.logs import ID_COLUMN, LOGS
from schemas.table import DAY_US, Column

Mask = npt.NDArray[np.bool_]
Sizes = npt.NDArray[np.int64]

_CLICKED = {
    "impression_ds": pa.date32(),
    "impression_ts": pa.timestamp("us", "UTC"),
    "user_id": pa.string(),
    "listing_id": pa.string(),
}


def certain_rows(rows: pa.Table, log: str, day: date, *, max_string_bytes: int) -> Mask:
    """Which rows of a log's day are certainly good, taken one by one.

    Parameters
    ----------
    rows : pyarrow.Table
        The log's canonical columns in their canonical types.
    max_string_bytes : int
        As of `with_checks`.

    Returns
    -------
    numpy.ndarray of bool, shape (len(rows),)
    """
    chunks = [
        reduce(
            np.logical_and,
            (
                _column_is_certain(column, batch.column(column.name), max_string_bytes)
                for column in LOGS[log]
            ),
            _log_is_certain(batch, log, day),
        )
        for batch in rows.to_batches()
    ]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *chunks])


def repeated_ids(ids: pa.ChunkedArray) -> pa.Array:
    """The ids that occur more than once among all of a day."""
    counted = pc.value_counts(ids)
    return counted.field("values").filter(pc.greater(counted.field("counts"), 1))


def clicked_impressions(clicks: pa.Table, shown: Mapping[date, Callable[[], pa.Table]]) -> pa.Table:
    """What is known of the impression of each click.

    Parameters
    ----------
    clicks : pyarrow.Table
        Canonical columns of `clicks`.
    shown : mapping
        For the click's day and the day before, in this order, as far as they are known: what reads
        the accepted impressions (impression_id, ts, user_id, listing_id; unique ids). A day is read
        only if clicks are left that the one before did not match.

    Returns
    -------
    pyarrow.Table, len(clicks) rows
        impression_ds, impression_ts, user_id, listing_id; impression_ds is null where no impression
        is certain, because none has the id or it is later than the click.
    """
    matched = pa.table({name: pa.nulls(len(clicks), kind) for name, kind in _CLICKED.items()})
    for day, read in shown.items():
        is_left = pc.is_null(matched["impression_ds"])
        if not pc.any(is_left).as_py():
            break
        impressions = read()
        is_clicked = pc.is_in(impressions["impression_id"], clicks["impression_id"])
        clicked = impressions.filter(is_clicked)
        places = pc.index_in(clicks["impression_id"], clicked["impression_id"].combine_chunks())
        theirs = clicked.take(places)
        columns = {
            "impression_ds": pc.if_else(pc.is_valid(places), pa.scalar(day, pa.date32()), None),
            "impression_ts": theirs["ts"],
            "user_id": theirs["user_id"],
            "listing_id": theirs["listing_id"],
        }
        matched = pa.table(
            {name: pc.if_else(is_left, columns[name], matched[name]) for name in _CLICKED}
        )
    is_in_time = pc.greater_equal(clicks["ts"], matched["impression_ts"])
    certain = pc.if_else(is_in_time, matched["impression_ds"], None)
    return matched.set_column(0, "impression_ds", certain)


def _log_is_certain(batch: pa.RecordBatch, log: str, day: date) -> Mask:
    certain = _truth(pc.not_equal(batch.column(ID_COLUMN[log]), ""))
    if "ts" in batch.schema.names:
        start = day_number(day) * DAY_US
        since = pc.subtract(batch.column("ts").cast(pa.int64()), start)
        certain &= _truth(pc.and_(pc.greater_equal(since, 0), pc.less(since, DAY_US)))
    if log == "impressions":
        certain &= _truth(pc.greater_equal(batch.column("position"), 1))
        surfaces = pa.array(["search", "promoted"])
        certain &= _truth(pc.is_in(batch.column("surface"), surfaces))
    if log == "listings":
        certain &= _truth(pc.fill_null(pc.greater_equal(batch.column("price"), 0.0), True))
    return certain


def _column_is_certain(column: Column, values: pa.Array, limit: int) -> Mask:
    certain = np.ones(len(values), dtype=np.bool_)
    if not column.nullable:
        certain &= _truth(pc.is_valid(values))
        if column.name.endswith("_id"):
            certain &= _truth(pc.not_equal(values, ""))
    if pa.types.is_string(values.type):
        certain &= is_utf8(values) & (_lengths(values) <= limit)
    elif pa.types.is_floating(values.type):
        certain &= _truth(pc.fill_null(pc.is_finite(values), True))
    elif pa.types.is_map(values.type):
        parts = [values.keys, values.items]
        good = is_utf8(parts[0]) & is_utf8(parts[1])
        # A space between any two: the text that is measured has as many.
        certain &= _sums(_lengths(parts[0]) + _lengths(parts[1]) + 2, values) <= limit
        certain &= _sums(~good, values) == 0
    elif pa.types.is_list(values.type) and pa.types.is_string(values.type.value_type):
        certain &= _sums(_lengths(values.values) + 1, values) <= limit
        certain &= _sums(~is_utf8(values.values), values) == 0
    elif pa.types.is_list(values.type):
        finite = _truth(pc.is_finite(values.values))
        certain &= _sums(~finite, values) == 0
    return certain


def _truth(values: pa.Array | pa.ChunkedArray) -> Mask:
    """As numpy; null is false."""
    return np.asarray(pc.fill_null(values, False))


def _lengths(texts: pa.Array) -> Sizes:
    """Bytes of each text; none where null."""
    lengths = pc.fill_null(pc.binary_length(texts), 0)
    return np.asarray(lengths).astype(np.int64)


def _sums(items: Mask | Sizes, rows: pa.Array) -> Sizes:
    """Sum, per row of a list or map array, over its items; those under a null row count too."""
    before = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(items, dtype=np.int64)])
    offsets = np.asarray(rows.offsets)
    sums: Sizes = before[offsets[1:]] - before[offsets[:-1]]
    return sums


def is_utf8(texts: pa.Array) -> Mask:
    """Which texts are valid UTF-8, looked for by halves, as hardly any is not."""
    good = np.ones(len(texts), dtype=np.bool_)
    pending = [(0, len(texts))]
    while pending:
        start, end = pending.pop()
        try:
            texts.slice(start, end - start).validate(full=True)
        except pa.ArrowInvalid:
            if end - start == 1:
                good[start] = False
            else:
                middle = (start + end) // 2
                pending += [(start, middle), (middle, end)]
    return good

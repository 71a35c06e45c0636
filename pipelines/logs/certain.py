"""Rows in the canonical types: which are good, and why others are refused, over Arrow buffers.

What `validation.with_checks` says of a row, without Spark. Whether an id is another row's too, and
whether a click has an impression, is not said of a row alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import day_number
from pipelines.logs import reasons as R
from schemas.logs import LOGS
from schemas.table import DAY_US

Mask = npt.NDArray[np.bool_]
Sizes = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int64]
_REASONS = tuple(R.REASONS)

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
        refusals(batch, log, day, max_string_bytes=max_string_bytes) == 0
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


def refusals(batch: pa.RecordBatch, log: str, day: date, *, max_string_bytes: int) -> Bits:
    """Why rows of a log's day are refused, each taken alone: as `validation.with_checks` says.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        Canonical columns of the log in their canonical types; one that must be there and is not is
        told of every row.
    day : datetime.date
    max_string_bytes : int
        As of `with_checks`.

    Returns
    -------
    numpy.ndarray of int64, shape (len(batch),)
        Of each reason its `reason_bit`; 0 where nothing is wrong.
    """
    bits = np.zeros(len(batch), dtype=np.int64)

    def refuse(reason: str, is_wrong: Mask) -> None:
        bits[is_wrong] |= reason_bit(reason)

    for column in LOGS[log]:
        if column.name not in batch.schema.names:
            if not column.nullable:
                refuse(R.MISSING_COLUMN, np.ones(len(batch), dtype=np.bool_))
            continue
        values = batch.column(column.name)
        if not column.nullable:
            refuse(R.NULL_KEY, _truth(pc.is_null(values)))
            if column.name.endswith("_id"):
                refuse(R.EMPTY_KEY, _truth(pc.equal(values, "")))
        for reason, is_wrong in _wrong_values(values, max_string_bytes):
            refuse(reason, is_wrong)
    names = set(batch.schema.names)
    if "ts" in names:
        since = pc.subtract(batch.column("ts").cast(pa.int64()), day_number(day) * DAY_US)
        refuse(R.OUTSIDE_DAY, _truth(pc.or_(pc.less(since, 0), pc.greater_equal(since, DAY_US))))
    if "position" in names:
        refuse(R.POSITION_BELOW_1, _truth(pc.less(batch.column("position"), 1)))
    if "surface" in names:
        surface = batch.column("surface")
        is_known = _truth(pc.is_in(surface, pa.array(["search", "promoted"])))
        refuse(R.UNKNOWN_SURFACE, ~is_known & _truth(pc.is_valid(surface)))
    if "price" in names:
        refuse(R.NEGATIVE_PRICE, _truth(pc.less(batch.column("price"), 0.0)))
    return bits


def reason_bit(reason: str) -> int:
    """The bit of `refusals` that says so."""
    return 1 << _REASONS.index(reason)


def _wrong_values(values: pa.Array, limit: int) -> Iterator[tuple[str, Mask]]:
    """What is wrong with the values of a column, whatever it holds."""
    if pa.types.is_string(values.type):
        yield R.INVALID_UTF8, ~is_utf8(values)
        yield R.OVERSIZED_STRING, _lengths(values) > limit
    elif pa.types.is_floating(values.type):
        yield R.UNPARSABLE_NUMBER, ~_truth(pc.fill_null(pc.is_finite(values), True))
    elif pa.types.is_map(values.type):
        parts = [values.keys, values.items]
        yield R.INVALID_UTF8, _sums(~is_utf8(parts[0]) | ~is_utf8(parts[1]), values) > 0
        # The text that is measured has a space between any two.
        pieces = 1 + _truth(pc.is_valid(parts[1])).astype(np.int64)
        sizes = _sums(_lengths(parts[0]) + _lengths(parts[1]) + pieces, values)
        yield R.OVERSIZED_STRING, sizes - 1 > limit
    elif pa.types.is_list(values.type) and pa.types.is_string(values.type.value_type):
        yield R.INVALID_UTF8, _sums(~is_utf8(values.values), values) > 0
        pieces = _truth(pc.is_valid(values.values)).astype(np.int64)
        yield R.OVERSIZED_STRING, _sums(_lengths(values.values) + pieces, values) - 1 > limit
    elif pa.types.is_list(values.type):
        yield R.UNPARSABLE_NUMBER, _sums(~_truth(pc.is_finite(values.values)), values) > 0


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

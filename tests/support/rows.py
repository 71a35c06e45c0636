"""Rows for tests: a base row of each schema and what a test changes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from jobs.storage.contracts import arrow_schema
from schemas.catalog import TABLES

Row = dict[str, Any]
DAY = date(2026, 2, 10)
DAY_NUMBER = (DAY - date(1970, 1, 1)).days

_IMPRESSION: Row = {
    "impression_id": "i1",
    "ts": datetime(2026, 2, 10, 12, tzinfo=UTC),
    "surface": "promoted",
    "request_id": "r1",
    "user_id": "u1",
    "query": "blue mug",
    "listing_id": "l1",
    "position": 1,
    "device": "mobile",
    "country": "DE",
    "attributes": None,
    "ds": DAY,
}
_LABELED = _IMPRESSION | {"clicked": False, "click_delay_s": None, "is_valid_traffic": True}
_BASES: dict[str, Row] = {
    "impressions": _IMPRESSION,
    "clicks": {
        "click_id": "c1",
        "impression_id": "i1",
        "ts": datetime(2026, 2, 10, 12, 1, tzinfo=UTC),
        "impression_ds": DAY,
        "impression_ts": datetime(2026, 2, 10, 12, tzinfo=UTC),
        "user_id": "u1",
        "listing_id": "l1",
        "ds": DAY,
    },
    "listings": {
        "listing_id": "l1",
        "shop_id": "s1",
        "title": "Blue mug",
        "tags": ["Mug", "kitchen"],
        "category": "home > kitchen > mugs",
        "price": 9.5,
        "quantity": 3,
        "created_ts": datetime(2026, 1, 1, tzinfo=UTC),
        "is_promoted": True,
        "image_vector": None,
        "attributes": None,
        "ds": DAY,
    },
    "labeled_impressions": _LABELED,
    "entity_counts": {
        "entity_type": "listing",
        "entity_id": "l1",
        "surface": "promoted",
        "impressions": 10,
        "clicks": 1,
        "expected_clicks_micro": 500_000,
        "ds": DAY,
    },
    "training_samples": {
        key: value
        for key, value in _LABELED.items()
        if key not in ("request_id", "click_delay_s", "is_valid_traffic")
    }
    | {"sampling_rate": 0.5, "order_key": 1},
    "entity_priors": {
        "entity_type": "listing",
        "surface": "both",
        "strength": 4.0,
        "entities": 10,
        "window_days": 30,
        "ds": DAY,
    },
}


def row(table: str, **changes: Any) -> Row:
    """A good row of a table with some values changed.

    Raises
    ------
    KeyError
        A changed column is none of the table's.
    """
    unknown = set(changes) - set(TABLES[table].column_names)
    if unknown:
        raise KeyError(f"{table} has no {sorted(unknown)}")
    return _BASES[table] | changes


def arrow_rows(table: str, changes: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows of a table as Arrow, each the base row with its changes."""
    made = [row(table, **change) for change in changes]
    return pa.Table.from_pylist(made, schema=arrow_schema(table))


def batch_of(**columns: Any) -> pa.RecordBatch:
    """A batch from columns given as lists or Arrow arrays; `ds` is DAY unless given."""
    arrays = {k: v if isinstance(v, pa.Array) else pa.array(v) for k, v in columns.items()}
    if "ds" not in arrays:
        size = len(next(iter(arrays.values())))
        arrays["ds"] = pa.array([DAY] * size, pa.date32())
    return pa.RecordBatch.from_pydict(arrays)


def later(day: date, **delta: float) -> datetime:
    """A time counted from the start of a day (UTC)."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(**delta)

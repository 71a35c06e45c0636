"""Log days: as numbers since 1970, and as the column `ds`."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TypeVar

import pyarrow as pa

EPOCH = date(1970, 1, 1)

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - EPOCH).days


def numbered_day(number: int) -> date:
    """The day of a `day_number`."""
    return EPOCH + timedelta(days=number)


def with_day(rows: Rows, day: date, name: str = "ds") -> Rows:
    """Append a column that says the same day of every row.

    Parameters
    ----------
    rows : pyarrow.Table or pyarrow.RecordBatch
    name : str
        The column.
    """
    column = pa.repeat(pa.scalar(day, pa.date32()), rows.num_rows)
    with_column: Rows = rows.append_column(name, column)
    return with_column

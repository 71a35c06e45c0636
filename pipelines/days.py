"""Log days: as the column `ds`."""

from __future__ import annotations

from datetime import date
from typing import TypeVar

import pyarrow as pa

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


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

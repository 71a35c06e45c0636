"""Log days: as numbers since 1970, in runs, and as the column `ds`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

EPOCH = date(1970, 1, 1)

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - EPOCH).days


def numbered_day(number: int) -> date:
    """The day of a `day_number`."""
    return EPOCH + timedelta(days=number)


def day_numbers(dates: pa.Array) -> npt.NDArray[np.int32]:
    """The `day_number` of every day of a column, shape (n,)."""
    numbers: npt.NDArray[np.int32] = dates.cast(pa.int32()).to_numpy(zero_copy_only=False)
    return numbers


def weekdays(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Day of the week of every `day_number`; 0 is Monday."""
    return (numbers.astype(np.int64) + 3) % 7


def contiguous(days: Iterable[date]) -> list[tuple[date, ...]]:
    """Runs of days that follow one another, ascending; a day given twice counts once."""
    runs: list[list[date]] = []
    for day in sorted(set(days)):
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return [tuple(run) for run in runs]


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

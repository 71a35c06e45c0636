"""Delta and Parquet tables of anybody, by their address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.setup.exits import InputMissing, UsageError
from jobs.storage.store_files import open_root

if TYPE_CHECKING:
    from pyarrow.dataset import Dataset

DAY = "ds"
"""The day column where none is named."""


@dataclass(frozen=True)
class AnyTable:
    """A table that is read as it stands.

    Attributes
    ----------
    day_column : str
        Empty where the table has no days: it is one batch then.
    name : str
        Of a table of this project; empty for any other.
    """

    address: str
    rows: Dataset
    day_column: str
    name: str = ""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.rows.schema.names)

    @property
    def day_sql(self) -> str:
        """SQL of a row's day."""
        if pa.types.is_timestamp(self.rows.schema.field(self.day_column).type):
            # UTC, which a cast is not on every machine.
            days = f'CAST(epoch_us("{self.day_column}") // 86400000000 AS INTEGER)'
            return f"(DATE '1970-01-01' + {days})"
        return f'CAST("{self.day_column}" AS DATE)'

    def newest_day(self) -> date:
        """The last day that has rows.

        Raises
        ------
        InputMissing
            It has none.
        """
        from pipelines.quality.duck import connect

        with connect() as connection:
            found = connection.from_arrow(self.rows).aggregate(f"max({self.day_sql})").fetchall()
        day: date | None = found[0][0]
        if day is None:
            raise InputMissing(f"{self.address} holds no day")
        return day

    def between(self, first: date, last: date) -> Dataset:
        """The rows of some days; files of other days are not read."""
        kind = self.rows.schema.field(self.day_column).type
        after = last + timedelta(days=1)
        low: object = first
        high: object = after
        if pa.types.is_timestamp(kind):
            zone = UTC if kind.tz else None
            low = datetime(first.year, first.month, first.day, tzinfo=zone)
            high = datetime(after.year, after.month, after.day, tzinfo=zone)
        elif not pa.types.is_date(kind):
            low, high = str(first), str(after)
        column = pc.field(self.day_column)
        return self.rows.filter((column >= low) & (column < high))


def open_table(address: str, day_column: str | None = None) -> AnyTable:
    """Open a Delta table, or a file or folder of Parquet.

    Parameters
    ----------
    address : str
        A path, or an address in an object store, whose credentials come from the environment.
    day_column : str, optional
        Of dates, times or text like 2026-01-31; `ds` where there is such a column.

    Raises
    ------
    InputMissing
        There is nothing.
    UsageError
        It cannot be read, or has no such day column.
    """
    rows = _open(address)
    names = rows.schema.names
    if day_column is None:
        return AnyTable(address, rows, DAY if DAY in names else "")
    if day_column not in names:
        raise UsageError(f"{address} has no column {day_column}: there are {', '.join(names)}")
    kind = rows.schema.field(day_column).type
    if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind) or pa.types.is_string(kind)):
        raise UsageError(f"{address}: {day_column} is {kind}: days are dates, times or text")
    return AnyTable(address, rows, day_column)


def _open(address: str) -> Dataset:
    from deltalake import DeltaTable
    from pyarrow import dataset
    from pyarrow.fs import FileType

    try:
        if not Path(address).is_file() and DeltaTable.is_deltatable(address):
            return DeltaTable(address).to_pyarrow_dataset()
        files, path = open_root(address)
        if files.get_file_info(path).type is FileType.NotFound:
            raise InputMissing(f"there is no table at {address}")
        found = dataset.dataset(path, filesystem=files, format="parquet", partitioning="hive")
    except InputMissing:
        raise
    except Exception as problem:
        said = " ".join(str(problem).split())[:300]
        raise UsageError(f"{address} cannot be read as Delta or Parquet: {said}") from None
    if not found.schema.names:
        raise InputMissing(f"there is no Parquet file in {address}")
    return found

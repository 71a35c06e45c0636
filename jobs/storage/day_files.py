"""Parquet files of Delta tables, read and written by tasks, without a row in the JVM.

Tasks hand Arrow batches to a Parquet writer of their own and report what they wrote; the driver
commits the files of all tasks at once. What a task leaves that is never committed, such as the
files of an attempt that was repeated, no reader sees, and vacuum removes it. Costs a quarter of
writing the same rows by Spark, which turns every batch into rows and every row into columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.storage.store_files import is_remote, open_parquet
from pipelines.days import with_day
from pipelines.units_spark import Batches

WRITTEN = pa.schema(
    [("path", pa.string()), ("ds", pa.date32()), ("size", pa.int64()), ("rows", pa.int64())]
)
WRITTEN_DDL = "path string, ds date, size bigint, rows bigint"

Keep = Callable[[pa.Table], pa.Array]
"""Says of rows which are wanted."""


_PART = re.compile(r"/part-(\d+)-of-(\d+)-[0-9a-f-]+\.snappy\.parquet$")
"""Name of a file that holds one part of a day; any other may hold rows of all."""


@dataclass(frozen=True, order=True)
class DataFile:
    """A data file of a table's day, by its address.

    Attributes
    ----------
    rows, size : int
        Its rows and bytes; 0 where they are not known.
    """

    ds: date
    address: str
    rows: int = field(default=0, compare=False)
    size: int = field(default=0, compare=False)

    @property
    def part(self) -> tuple[int, int] | None:
        """The part of the day that it holds, and of how many; None where it may hold any."""
        named = _PART.search(self.address)
        return (int(named[1]), int(named[2])) if named else None


def absolute(address: str) -> str:
    """An address for tasks that run in another folder."""
    return address if is_remote(address) else str(Path(address).resolve())


def read_file(
    file: DataFile,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    row_groups: Sequence[int] = (),
    keep: Keep | None = None,
    among: Mapping[str, Collection[str]] | None = None,
) -> pa.Table:
    """Read a data file of a table as the table's own types, `ds` included.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the table.
    columns : sequence of str, optional
        All by default.
    row_groups : sequence of int, optional
        All by default.
    keep : callable, optional
        Which rows are wanted of a row group, without `ds`; only one row group is held besides.
    among : mapping, optional
        Values of columns of text that are wanted: row groups that hold one other value are not
        read.
    """
    wanted = list(columns) if columns is not None else schema.names
    opened = open_parquet(file.address, file.size, by_row_group=True)
    names = [column for column in wanted if column != "ds"]
    if keep is not None and opened.num_row_groups:
        groups = row_groups or range(opened.num_row_groups)
        read = (
            opened.read_row_group(group, names)
            for group in groups
            if _may_hold(opened.metadata.row_group(group), among or {})
        )
        none = opened.schema_arrow.empty_table().select(names)
        stored = pa.concat_tables([none, *(rows.filter(keep(rows)) for rows in read)])
    elif row_groups:
        stored = opened.read_row_groups(list(row_groups), names)
    else:
        stored = opened.read(names)
    if "ds" in wanted:
        stored = with_day(stored, file.ds)
    return _whole(stored, pa.schema([schema.field(column) for column in wanted]))


def _may_hold(group: pq.RowGroupMetaData, among: Mapping[str, Collection[str]]) -> bool:
    """Whether a row group may hold one of the values of each column."""
    for number in range(group.num_columns):
        column = group.column(number)
        wanted, known = among.get(column.path_in_schema), column.statistics
        if wanted is None or known is None or not known.has_min_max or known.min != known.max:
            continue
        if known.min not in wanted:
            return False
    return True


def _whole(rows: Any, wanted: pa.Schema) -> Any:
    """Rows, of a table or a batch, in declared types; null where the file is older than a column.

    Raises
    ------
    ValueError
        Nulls where none may be.
    """
    for column in wanted:
        if column.name not in rows.schema.names:
            rows = rows.append_column(column.name, pa.nulls(rows.num_rows, column.type))
    return rows.select(wanted.names).cast(wanted)


def read_files(
    files: Sequence[DataFile],
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    keep: Keep | None = None,
    among: Mapping[str, Collection[str]] | None = None,
) -> pa.Table:
    """Read data files of a table, one after the other, as `read_file` does each."""
    wanted = list(columns) if columns is not None else schema.names
    none = schema.empty_table().select(wanted)
    return pa.concat_tables(
        [none, *(read_file(file, schema, wanted, keep=keep, among=among) for file in files)]
    )


def read_batches(file: DataFile, schema: pa.Schema, columns: Sequence[str]) -> Batches:
    """`read_file` a part at a time, in the order of the file."""
    wanted = pa.schema([schema.field(column) for column in columns])
    with open_parquet(file.address, file.size) as stored:
        for batch in stored.iter_batches(columns=[name for name in columns if name != "ds"]):
            yield _whole(with_day(batch, file.ds), wanted)


def address_of(root: str, path: str) -> str:
    """The address of a file that the table's log names."""
    return path if is_remote(path) else f"{root.rstrip('/')}/{unquote(path)}"

"""Parquet files of Delta tables, read and written by tasks, without a row in the JVM.

Tasks hand Arrow batches to a Parquet writer of their own and report what they wrote; the driver
commits the files of all tasks at once. What a task leaves that is never committed, such as the
files of an attempt that was repeated, no reader sees, and vacuum removes it. Costs a quarter of
writing the same rows by Spark, which turns every batch into rows and every row into columns.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs.storage.constraints import check_rows
from pipelines.days import with_day
from pipelines.units_spark import Batches
from schemas.catalog import TABLES

WRITTEN = pa.schema(
    [("path", pa.string()), ("ds", pa.date32()), ("size", pa.int64()), ("rows", pa.int64())]
)
WRITTEN_DDL = "path string, ds date, size bigint, rows bigint"

_BUFFER_BYTES = 64 * 2**20
"""Rows that a task holds back to write whole row groups of each day."""


@dataclass(frozen=True, order=True)
class DataFile:
    """A data file of a table's day; its address is one that `open_root` understands."""

    ds: date
    address: str


def absolute(address: str) -> str:
    """An address for tasks that run in another folder."""
    return address if "://" in address else str(Path(address).resolve())


def open_root(address: str) -> tuple[fs.FileSystem, str]:
    """The Arrow file system of an address, and the path in it."""
    if "://" in address:
        # One store, of which Spark and Arrow know different names.
        address = re.sub("^s3a://", "s3://", address)
        opened: tuple[fs.FileSystem, str] = fs.FileSystem.from_uri(address)
        return opened
    return fs.LocalFileSystem(), address


def read_file(file: DataFile, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a data file of a table as the table's own types, `ds` included.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the table.
    columns : sequence of str, optional
        All by default.
    """
    wanted = list(columns) if columns is not None else schema.names
    filesystem, path = open_root(file.address)
    stored = pq.ParquetFile(
        filesystem.open_input_file(path), coerce_int96_timestamp_unit="us"
    ).read([column for column in wanted if column != "ds"])
    if "ds" in wanted:
        stored = with_day(stored, file.ds)
    return _whole(stored, pa.schema([schema.field(column) for column in wanted]))


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
    files: Sequence[DataFile], schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read data files of a table, one after the other, as `read_file` does each."""
    wanted = list(columns) if columns is not None else schema.names
    none = schema.empty_table().select(wanted)
    return pa.concat_tables([none, *(read_file(file, schema, wanted) for file in files)])


def read_batches(file: DataFile, schema: pa.Schema, columns: Sequence[str]) -> Batches:
    """`read_file` a part at a time, in the order of the file."""
    filesystem, path = open_root(file.address)
    wanted = pa.schema([schema.field(column) for column in columns])
    with filesystem.open_input_file(path) as opened:
        stored = pq.ParquetFile(opened, coerce_int96_timestamp_unit="us")
        for batch in stored.iter_batches(columns=[name for name in columns if name != "ds"]):
            yield _whole(with_day(batch, file.ds), wanted)


@dataclass(frozen=True)
class DayReader:
    """Reads columns of single days of a table, wherever it is called.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of the table.
    columns : sequence of str
    files : mapping
        The files of each day; a day without any is empty.
    """

    schema: pa.Schema
    columns: Sequence[str]
    files: Mapping[date, Sequence[DataFile]]

    def __call__(self, day: date) -> pa.Table:
        """Read a day."""
        return read_files(self.files.get(day, ()), self.schema, self.columns)


@dataclass
class DayFileWriter:
    """What a task does with its batches: write them as files of each day, and report the files.

    Attributes
    ----------
    root : str
        Folder of the table.
    name : str
        The table, as declared in `schemas`.
    schema : pyarrow.Schema
        Of the table.
    kernel : callable or None
        What makes rows of the table of the task's batches; None where they are such rows.
    """

    root: str
    name: str
    schema: pa.Schema
    kernel: Callable[[Batches], Batches] | None = None

    def __call__(self, batches: Batches) -> Batches:
        """Write; yield `WRITTEN`."""
        files = _OpenFiles(self.root, self.name, self.schema)
        kept_back: list[pa.RecordBatch] = []
        size = 0
        for batch in batches if self.kernel is None else self.kernel(batches):
            if batch.num_rows:
                kept_back.append(batch)
                size += batch.nbytes
            if size > _BUFFER_BYTES:
                files.write(pa.Table.from_batches(kept_back))
                kept_back, size = [], 0
        if kept_back:
            files.write(pa.Table.from_batches(kept_back))
        yield from files.close()


@dataclass
class _OpenFile:
    path: str
    writer: pq.ParquetWriter
    rows: int = 0


@dataclass
class _OpenFiles:
    """One growing file per day."""

    root: str
    name: str
    schema: pa.Schema
    open: dict[date, _OpenFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.filesystem, self.base = open_root(self.root.rstrip("/"))

    def write(self, rows: pa.Table) -> None:
        """Append rows to the files of their days, a row group each."""
        ordered = rows.select(self.schema.names).cast(self.schema)
        check_rows(TABLES[self.name], ordered)
        days = np.asarray(ordered["ds"].cast(pa.int32()))
        if (days[1:] < days[:-1]).any():
            order = np.argsort(days, kind="stable")
            ordered, days = ordered.take(pa.array(order)), days[order]
        starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
            self._append(ordered.slice(start, end - start))

    def _append(self, rows: pa.Table) -> None:
        day = rows["ds"][0].as_py()
        stored = rows.drop_columns(["ds"])
        if day not in self.open:
            path = f"ds={day}/part-{uuid.uuid4()}.snappy.parquet"
            self.filesystem.create_dir(f"{self.base}/ds={day}", recursive=True)
            # A dictionary of what never repeats would be built and thrown away.
            unique = {*TABLES[self.name].keys[:1], "ts"}
            writer = pq.ParquetWriter(
                f"{self.base}/{path}",
                stored.schema,
                filesystem=self.filesystem,
                use_dictionary=[column for column in stored.column_names if column not in unique],
                compression="snappy",
                store_schema=False,
            )
            self.open[day] = _OpenFile(path, writer)
        self.open[day].writer.write_table(stored)
        self.open[day].rows += len(stored)

    def close(self) -> Batches:
        """End all files; yield what was written."""
        for day, file in self.open.items():
            file.writer.close()
            size = self.filesystem.get_file_info(f"{self.base}/{file.path}").size
            yield pa.RecordBatch.from_pylist(
                [{"path": file.path, "ds": day, "size": size, "rows": file.rows}], WRITTEN
            )


def address_of(root: str, path: str) -> str:
    """The address of a file that the table's log names."""
    return path if "://" in path else f"{root.rstrip('/')}/{unquote(path)}"

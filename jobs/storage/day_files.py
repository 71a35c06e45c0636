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

Keep = Callable[[pa.Table], pa.Array]
"""Says of rows which are wanted."""

PART = "part"
"""Column by which a task is told the part of its rows, the same in a batch; in no table."""

_BUFFER_BYTES = 64 * 2**20
"""Rows that a task holds back to write whole row groups of each day."""


_PART = re.compile(r"/part-(\d+)-of-(\d+)-[0-9a-f-]+\.snappy\.parquet$")
"""Name of a file that holds one part of a day; any other may hold rows of all."""


@dataclass(frozen=True, order=True)
class DataFile:
    """A data file of a table's day; its address is one that `open_root` understands."""

    ds: date
    address: str
    rows: int = field(default=0, compare=False)

    @property
    def part(self) -> tuple[int, int] | None:
        """The part of the day that it holds, and of how many; None where it may hold any."""
        named = _PART.search(self.address)
        return (int(named[1]), int(named[2])) if named else None


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


def read_file(
    file: DataFile,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    row_groups: Sequence[int] = (),
    keep: Keep | None = None,
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
    """
    wanted = list(columns) if columns is not None else schema.names
    filesystem, path = open_root(file.address)
    opened = pq.ParquetFile(filesystem.open_input_file(path), coerce_int96_timestamp_unit="us")
    names = [column for column in wanted if column != "ds"]
    if keep is not None and opened.num_row_groups:
        groups = row_groups or range(opened.num_row_groups)
        read = (opened.read_row_group(group, names) for group in groups)
        stored = pa.concat_tables([rows.filter(keep(rows)) for rows in read])
    elif row_groups:
        stored = opened.read_row_groups(list(row_groups), names)
    else:
        stored = opened.read(names)
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
    files: Sequence[DataFile],
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    *,
    keep: Keep | None = None,
) -> pa.Table:
    """Read data files of a table, one after the other, as `read_file` does each."""
    wanted = list(columns) if columns is not None else schema.names
    none = schema.empty_table().select(wanted)
    return pa.concat_tables([none, *(read_file(file, schema, wanted, keep=keep) for file in files)])


def read_batches(file: DataFile, schema: pa.Schema, columns: Sequence[str]) -> Batches:
    """`read_file` a part at a time, in the order of the file."""
    filesystem, path = open_root(file.address)
    wanted = pa.schema([schema.field(column) for column in columns])
    with filesystem.open_input_file(path) as opened:
        stored = pq.ParquetFile(opened, coerce_int96_timestamp_unit="us")
        for batch in stored.iter_batches(columns=[name for name in columns if name != "ds"]):
            yield _whole(with_day(batch, file.ds), wanted)


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
    parts : mapping of date to int
        How many parts a day is stored in; one where it is not named. Batches of such a day have a
        column `PART`.
    """

    root: str
    name: str
    schema: pa.Schema
    kernel: Callable[[Batches], Batches] | None = None
    parts: Mapping[date, int] = field(default_factory=dict)

    def __call__(self, batches: Batches) -> Batches:
        """Write; yield `WRITTEN`."""
        files = _OpenFiles(self.root, self.name, self.schema, self.parts)
        kept_back: list[pa.RecordBatch] = []
        size, part = 0, 0
        for batch in batches if self.kernel is None else self.kernel(batches):
            if not batch.num_rows:
                continue
            own = batch.column(PART)[0].as_py() if PART in batch.schema.names else 0
            if kept_back and (size > _BUFFER_BYTES or own != part):
                files.write(pa.Table.from_batches(kept_back), part)
                kept_back, size = [], 0
            kept_back.append(batch)
            size, part = size + batch.nbytes, own
        if kept_back:
            files.write(pa.Table.from_batches(kept_back), part)
        yield from files.close()


@dataclass
class _OpenFile:
    path: str
    writer: pq.ParquetWriter
    rows: int = 0


@dataclass
class _OpenFiles:
    """One growing file per day and part."""

    root: str
    name: str
    schema: pa.Schema
    parts: Mapping[date, int]
    open: dict[tuple[date, int], _OpenFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.filesystem, self.base = open_root(self.root.rstrip("/"))

    def write(self, rows: pa.Table, part: int) -> None:
        """Append rows of a part to the files of their days, a row group each."""
        ordered = rows.select(self.schema.names).cast(self.schema)
        check_rows(TABLES[self.name], ordered)
        days = np.asarray(ordered["ds"].cast(pa.int32()))
        if (days[1:] < days[:-1]).any():
            order = np.argsort(days, kind="stable")
            ordered, days = ordered.take(pa.array(order)), days[order]
        starts = np.flatnonzero(np.r_[True, days[1:] != days[:-1]])
        for start, end in zip(starts, [*starts[1:], len(days)], strict=True):
            self._append(ordered.slice(start, end - start), part)

    def _append(self, rows: pa.Table, part: int) -> None:
        day = rows["ds"][0].as_py()
        stored = rows.drop_columns(["ds"])
        key = (day, part)
        if key not in self.open:
            count = self.parts.get(day, 1)
            of_day = f"{part:05d}-of-{count:05d}-" if count > 1 else ""
            path = f"ds={day}/part-{of_day}{uuid.uuid4()}.snappy.parquet"
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
            self.open[key] = _OpenFile(path, writer)
        self.open[key].writer.write_table(stored)
        self.open[key].rows += len(stored)

    def close(self) -> Batches:
        """End all files; yield what was written."""
        for (day, _), file in self.open.items():
            file.writer.close()
            size = self.filesystem.get_file_info(f"{self.base}/{file.path}").size
            yield pa.RecordBatch.from_pylist(
                [{"path": file.path, "ds": day, "size": size, "rows": file.rows}], WRITTEN
            )


def address_of(root: str, path: str) -> str:
    """The address of a file that the table's log names."""
    return path if "://" in path else f"{root.rstrip('/')}/{unquote(path)}"

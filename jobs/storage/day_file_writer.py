"""Parquet files of Delta tables, written by tasks, without a row in the JVM."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.storage.constraints import check_rows
from jobs.storage.day_files import WRITTEN
from jobs.storage.store_files import make_folder, open_root
from pipelines.units_spark import Batches
from schemas.catalog import TABLES

PART = "part"
"""Column by which a task is told the part of its rows, the same in a batch; in no table."""

BUFFER_BYTES = 64 * 2**20
"""Rows that a task holds back to write whole row groups of each day, and the size of these."""


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
        files = self.open()
        for batch in batches if self.kernel is None else self.kernel(batches):
            files.add(batch)
        yield from files.close()

    def open(self) -> OpenDays:
        """Files that batches of rows are added to, without the kernel."""
        return OpenDays(self.root, self.name, self.schema, self.parts)


@dataclass
class _OpenFile:
    path: str
    sink: pa.NativeFile
    writer: pq.ParquetWriter
    rows: int = 0


@dataclass
class OpenDays:
    """One growing file per day and part."""

    root: str
    name: str
    schema: pa.Schema
    parts: Mapping[date, int]
    open: dict[tuple[date, int], _OpenFile] = field(default_factory=dict)
    held: int = 0
    """Bytes that are held back."""
    _kept_back: dict[int, list[pa.RecordBatch]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.filesystem, self.base = open_root(self.root.rstrip("/"))

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of one part; they are written once they make whole row groups."""
        if not batch.num_rows:
            return
        part = batch.column(PART)[0].as_py() if PART in batch.schema.names else 0
        if self.held > BUFFER_BYTES:
            self.flush()
        self._kept_back.setdefault(part, []).append(batch)
        self.held += batch.nbytes

    def flush(self) -> None:
        """Write what is held back."""
        kept, self._kept_back, self.held = self._kept_back, {}, 0
        for part in list(kept):
            self._write(pa.Table.from_batches(kept.pop(part)), part)

    def _write(self, rows: pa.Table, part: int) -> None:
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
            make_folder(f"{self.root.rstrip('/')}/ds={day}")
            sink = self.filesystem.open_output_stream(f"{self.base}/{path}")
            # A dictionary of what never repeats would be built and thrown away.
            unique = {*TABLES[self.name].keys[:1], "ts"}
            writer = pq.ParquetWriter(
                sink,
                stored.schema,
                use_dictionary=[column for column in stored.column_names if column not in unique],
                compression="snappy",
                store_schema=False,
            )
            self.open[key] = _OpenFile(path, sink, writer)
        # A reader holds a row group's columns whole: wide rows are grouped by fewer.
        in_group = min(max(BUFFER_BYTES * len(stored) // max(stored.nbytes, 1), 2**16), 2**20)
        for run in _runs(stored, TABLES[self.name].clustered_by):
            self.open[key].writer.write_table(run, row_group_size=in_group)
        self.open[key].rows += len(stored)

    def close(self) -> Batches:
        """End all files; yield what was written."""
        self.flush()
        for (day, _), file in self.open.items():
            file.writer.close()
            size = file.sink.tell()
            file.sink.close()
            yield pa.RecordBatch.from_pylist(
                [{"path": file.path, "ds": day, "size": size, "rows": file.rows}], WRITTEN
            )


def _runs(rows: pa.Table, column: str) -> Iterator[pa.Table]:
    """Rows that follow each other with one value of a column; all at once where none is named."""
    if not column or not len(rows):
        yield rows
        return
    codes = rows[column].combine_chunks().dictionary_encode().indices.to_numpy()
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield rows.slice(start, end - start)

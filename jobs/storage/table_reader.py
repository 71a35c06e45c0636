"""Delta tables under one root, read: by Spark, on the driver, or file by file in tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pyarrow.compute as pc

from jobs.setup.exits import InputMissing
from jobs.setup.small_session import SmallSession
from jobs.setup.store_errors import store_cause
from jobs.storage.contracts import arrow_schema
from jobs.storage.creation import check_root
from jobs.storage.damage import told_if_damaged
from jobs.storage.day_files import DataFile, absolute
from jobs.storage.day_reader import DayReader
from jobs.storage.delta_log import (
    day_condition,
    has_log,
    is_newest,
    logged_days,
    logged_files,
    logged_rows,
)
from jobs.storage.slices import Slice, slices
from pipelines.parts import parts_of
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyarrow.dataset import Dataset
    from pyspark.sql import DataFrame, SparkSession

PART_ROWS = 2_000_000
"""Rows that a task holds, about, where nobody says otherwise."""

_READAHEAD = 2
"""Batches, and files, that are in memory before the rows wanted of them are known."""


def open_dataset(name: str, handle: DeltaTable, days: Sequence[date] | None = None) -> Dataset:
    """The files of days of a table, not read yet.

    A column that an older version of the code did not know is null.
    """
    pruned = None if days is None else day_condition(days)
    stored = pa.schema(handle.schema().to_arrow())
    lacking = [field.with_nullable(True) for field in arrow_schema(name)]
    lacking = [field for field in lacking if field.name not in stored.names]
    schema = pa.schema([*stored, *lacking]) if lacking else None
    return handle.to_pyarrow_dataset(file_pruning_predicate=pruned, schema=schema)


def rows_where(dataset: Dataset, condition: pc.Expression, columns: Sequence[str]) -> pa.Table:
    """The rows that meet a condition, some batches at a time."""
    try:
        return dataset.scanner(
            columns, condition, batch_readahead=_READAHEAD, fragment_readahead=_READAHEAD
        ).to_table()
    except pa.ArrowNotImplementedError:
        # Files from which delta-rs took rows name a kind of text that Arrow does not compare.
        return dataset.to_table().filter(condition).select(list(columns))


class TableReader:
    """All tables under one storage root, to read."""

    def __init__(
        self,
        root: str,
        start_spark: Callable[[], SparkSession] | None = None,
        part_rows: int = PART_ROWS,
    ) -> None:
        check_root(root)
        self.root = root
        self.part_rows = part_rows
        self._start_spark = start_spark
        self._handles: dict[str, DeltaTable] = {}
        self.is_small = False
        """Whether what is made now is done in this process, as far as it can be."""

    @property
    def spark(self) -> SparkSession:
        """The session, started when it is first needed; where work is small, by less of it."""
        if self.is_small:
            return cast("SparkSession", SmallSession(lambda: self._session))
        return self._session

    @cached_property
    def _session(self) -> SparkSession:
        if self._start_spark is None:
            raise RuntimeError("these tables were opened without a Spark session")
        return self._start_spark()

    def path(self, name: str) -> str:
        """Where a table lives."""
        return f"{self.root.rstrip('/')}/{TABLES[name].name}"

    def address(self, name: str) -> str:
        """Where a table lives, for tasks that run in another folder."""
        return absolute(self.path(name))

    def delta(self, name: str) -> DeltaTable:
        """The delta-rs handle of a table, at its newest version."""
        from deltalake import DeltaTable

        # Following the log from where it was last read costs a tenth of opening the table.
        handle = self._handles.get(name)
        with told_if_damaged(self.path(name)):
            if handle is None:
                handle = self._handles[name] = DeltaTable(self.path(name))
            elif not is_newest(handle, self.path(name)):
                handle.update_incremental()
        return handle

    def delta_at(self, name: str, version: int) -> DeltaTable:
        """The delta-rs handle of a table at an older version.

        Raises
        ------
        InputMissing
            There is none, or not any more.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        try:
            return DeltaTable(self.path(name), version=version)
        except DeltaError as problem:
            if store_cause(problem):
                raise
            raise InputMissing(
                f"version {version} of {self.path(name)} is not there: old ones stay for "
                f"{TABLES[name].retention_days} days, the newest is {self.version(name)}"
            ) from problem

    def exists(self, name: str) -> bool:
        """Whether the table has been created."""
        return name in self._handles or has_log(self.path(name))

    def version(self, name: str) -> int:
        """The newest Delta version of a table; -1 where there is none."""
        return self.delta(name).version() if self.exists(name) else -1

    def days(self, name: str) -> set[date]:
        """The days for which a table holds files."""
        if not self.exists(name):
            return set()
        return logged_days(self.delta(name))

    def row_counts(self, name: str, days: Sequence[date] | None = None) -> dict[date, int]:
        """Rows of a partitioned table per day, from the log alone."""
        if not self.exists(name):
            return {}
        counts = logged_rows(self.delta(name))
        return {day: rows for day, rows in counts.items() if days is None or day in days}

    def read(self, name: str, days: Sequence[date] | None = None) -> DataFrame:
        """Read days of a table with Spark; an empty frame where nothing was written yet."""
        if not self.exists(name) or (days is not None and not days):
            return self.spark.createDataFrame([], TABLES[name].struct)
        frame = self.spark.read.format("delta").load(self.path(name))
        return frame if days is None else frame.where(day_condition(days))

    def read_arrow(
        self,
        name: str,
        days: Sequence[date] | None = None,
        *,
        columns: Sequence[str] | None = None,
        condition: pc.Expression | None = None,
    ) -> pa.Table:
        """Read days of a small table, or the few rows wanted of a large one, on the driver.

        Parameters
        ----------
        condition : pyarrow.compute.Expression, optional
            Which rows; the others are dropped as they are read, some batches at a time.

        Returns
        -------
        pyarrow.Table
            Columns in declared order; no particular row order.
        """
        wanted = list(columns) if columns else list(TABLES[name].column_names)
        if not self.exists(name):
            return arrow_schema(name).empty_table().select(wanted)
        if days is not None and not days:
            return arrow_schema(name).empty_table().select(wanted)
        if condition is None:
            return self.dataset(name, days).to_table(columns=wanted)
        return rows_where(self.dataset(name, days), condition, wanted)

    def dataset(self, name: str, days: Sequence[date] | None = None) -> Dataset:
        """The files of days of a table, not read yet; the table must exist."""
        return open_dataset(name, self.delta(name), days)

    def files(self, name: str, days: Sequence[date]) -> list[DataFile]:
        """The data files of days of a table, by day and path."""
        if not self.exists(name) or not days:
            return []
        return logged_files(self.delta(name), self.address(name), days)

    def slices(self, name: str, days: Sequence[date]) -> list[Slice]:
        """The rows of days of a table, in slices of about `part_rows`."""
        return slices(self.files(name, days), self.part_rows)

    def parts(self, name: str, days: Sequence[date]) -> dict[date, int]:
        """How many parts days of a table have: as they are stored, or as their rows ask for."""
        rows = self.row_counts(name, days)
        return {
            day: max(stored, parts_of(rows.get(day, 0), self.part_rows))
            for day, stored in self.stored_parts(name, days).items()
        }

    def stored_parts(self, name: str, days: Sequence[date]) -> dict[date, int]:
        """In how many parts days of a table are stored."""
        parts = dict.fromkeys(days, 1)
        for file in self.files(name, days):
            if file.part:
                parts[file.ds] = max(parts[file.ds], file.part[1])
        return parts

    def day_reader(
        self, name: str, days: Sequence[date], columns: Sequence[str] | None = None
    ) -> DayReader:
        """What reads days of a table one by one, in a task or here."""
        files: dict[date, list[DataFile]] = {}
        for file in self.files(name, days):
            files.setdefault(file.ds, []).append(file)
        return DayReader(arrow_schema(name), columns or arrow_schema(name).names, files)

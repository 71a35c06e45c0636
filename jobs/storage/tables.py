"""Delta tables under one root: create by declaration, read days, replace days.

Spark reads them. Files of Spark frames are written by the tasks (`day_files`), those of tables on
the driver by delta-rs, and delta-rs commits both: at a hundredth of the cost of a commit by Spark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.contracts import ContractError, arrow_schema, refuse_other_days
from jobs.storage.creation import complete_table, create_table
from jobs.storage.day_files import DataFile, DayFileWriter, DayReader, absolute
from jobs.storage.delta_log import (
    add_actions,
    day_condition,
    logged_days,
    logged_files,
    logged_rows,
)
from pipelines.units_spark import Batches
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction
    from pyarrow.dataset import Dataset
    from pyspark.sql import DataFrame, SparkSession

_READAHEAD = 2
"""Batches, and files, that are in memory before the rows wanted of them are known."""


class Tables:
    """All tables under one storage root."""

    def __init__(self, root: str, start_spark: Callable[[], SparkSession] | None = None) -> None:
        self.root = root
        self._start_spark = start_spark
        self._handles: dict[str, DeltaTable] = {}

    @cached_property
    def spark(self) -> SparkSession:
        """The session, started when it is first needed."""
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
        if handle is None:
            handle = self._handles[name] = DeltaTable(self.path(name))
        else:
            handle.update_incremental()
        return handle

    def exists(self, name: str) -> bool:
        """Whether the table has been created."""
        from deltalake import DeltaTable

        return name in self._handles or DeltaTable.is_deltatable(self.path(name))

    def create(self, names: Iterable[str]) -> None:
        """Create the tables that are not there yet; refuse those that another version made."""
        for name in names:
            if self.exists(name):
                complete_table(self.delta(name), self.path(name), TABLES[name])
            else:
                create_table(self.path(name), TABLES[name])

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
        scanner = self.dataset(name, days).scanner(
            wanted, condition, batch_readahead=_READAHEAD, fragment_readahead=_READAHEAD
        )
        return scanner.to_table()

    def dataset(self, name: str, days: Sequence[date] | None = None) -> Dataset:
        """The files of days of a table, not read yet; the table must exist."""
        pruned = None if days is None else day_condition(days)
        return self.delta(name).to_pyarrow_dataset(file_pruning_predicate=pruned)

    def file_writer(
        self, name: str, kernel: Callable[[Batches], Batches] | None = None
    ) -> DayFileWriter:
        """What writes files of a table in a task, for `commit`."""
        self.create([name])
        return DayFileWriter(self.address(name), name, arrow_schema(name), kernel)

    def commit(self, name: str, written: pa.Table, days: Sequence[date]) -> int:
        """Replace exactly these days by files that tasks have written.

        Parameters
        ----------
        written : pyarrow.Table
            As of `day_files.WRITTEN`.

        Returns
        -------
        int
            The Delta version written.
        """
        from deltalake import Schema

        refuse_other_days(name, written, days)
        files: list[AddAction | RemoveAction] = [*add_actions(written, int(time.time() * 1000))]
        replaced = sorted(self.days(name) & set(days))
        if files or replaced:
            self.delta(name).create_write_transaction(
                files,
                mode="overwrite" if replaced else "append",
                schema=Schema.from_json(TABLES[name].struct.json()),
                partition_by=list(TABLES[name].partition_by),
                partition_filters=[("ds", "in", [str(day) for day in replaced])]
                if replaced
                else None,
            )
        return self.version(name)

    def files(self, name: str, days: Sequence[date]) -> list[DataFile]:
        """The data files of days of a table, by day and path."""
        if not self.exists(name) or not days:
            return []
        return logged_files(self.delta(name), self.address(name), days)

    def day_reader(
        self, name: str, days: Sequence[date], columns: Sequence[str] | None = None
    ) -> DayReader:
        """What reads days of a table one by one, in a task or here."""
        files: dict[date, list[DataFile]] = {}
        for file in self.files(name, days):
            files.setdefault(file.ds, []).append(file)
        return DayReader(arrow_schema(name), columns or arrow_schema(name).names, files)

    def write_arrow(self, name: str, table: pa.Table, days: Sequence[date] | None) -> int:
        """Replace exactly these days by a driver-side table; append where `days` is None.

        Raises
        ------
        ContractError
            The columns are not those declared, or a row is of none of the days.
        """
        from deltalake import write_deltalake

        self.create([name])
        schema = arrow_schema(name)
        missing = set(schema.names) ^ set(table.column_names)
        if missing:
            raise ContractError(f"{name}: columns differ from the contract: {sorted(missing)}")
        ordered = table.select(schema.names).cast(schema)
        if days is not None:
            refuse_other_days(name, ordered, days)
        if days is not None and self.days(name) & set(days):
            write_deltalake(
                self.path(name), ordered, mode="overwrite", predicate=day_condition(days)
            )
        else:
            write_deltalake(self.path(name), ordered, mode="append")
        return self.version(name)

    def write_rows(
        self, name: str, rows: Sequence[dict[str, object]], days: Sequence[date] | None
    ) -> int:
        """`write_arrow` for rows given as dictionaries."""
        table = pa.Table.from_pylist(list(rows), schema=arrow_schema(name))
        return self.write_arrow(name, table, days)

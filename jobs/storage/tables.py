"""Delta tables under one root: create by declaration, replace days; `table_reader` reads them.

Files of Spark frames are written by the tasks (`day_files`), those of tables on the driver by
delta-rs, and delta-rs commits both: at a hundredth of the cost of a commit by Spark.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.setup.exits import LockHeld
from jobs.storage.commits import commit_after, once, refuse_changed
from jobs.storage.contracts import ContractError, arrow_schema, refuse_other_days
from jobs.storage.creation import complete_table, create_table
from jobs.storage.day_file_writer import DayFileWriter
from jobs.storage.delta_log import add_actions, day_condition, logged_days
from jobs.storage.table_reader import PART_ROWS, TableReader
from pipelines.units_spark import Batches
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction
    from pyspark.sql import SparkSession


class Tables(TableReader):
    """All tables under one storage root."""

    def __init__(
        self,
        root: str,
        start_spark: Callable[[], SparkSession] | None = None,
        part_rows: int = PART_ROWS,
    ) -> None:
        super().__init__(root, start_spark, part_rows)
        self._seen: dict[str, int] = {}
        self.before_commit: Callable[[], None] = lambda: None
        """Called before each commit; raises where there is to be none."""
        self.commits: Counter[str] = Counter()
        """How often each table was written, by these tables only."""

    def create(self, names: Iterable[str]) -> None:
        """Create the tables that are not there yet; refuse those that another version made.

        Raises
        ------
        LockHeld
            Another run does the same at this moment.
        """
        from deltalake.exceptions import CommitFailedError

        for name in names:
            try:
                if self.exists(name):
                    complete_table(self.delta(name), self.path(name), TABLES[name])
                else:
                    create_table(self.path(name), TABLES[name])
            except CommitFailedError:
                raise LockHeld(
                    f"another run is creating {self.path(name)}; run again when it has ended"
                ) from None

    def look(self, names: Iterable[str]) -> None:
        """Take tables as they are now for what later reads and writes follow.

        From now on they are read as they are, with what is written here, and a write fails where
        anybody else has written to the table. Without a look, reads are of the newest version, and
        a write fails where somebody else has written the same days since it began.
        """
        for name in names:
            self._seen.pop(name, None)
            if self.exists(name):
                self._seen[name] = self.delta(name).version()

    def look_away(self) -> None:
        """Take all tables at their newest version again."""
        self._seen.clear()

    def delta(self, name: str) -> DeltaTable:
        """The delta-rs handle of a table: as it was looked at, or at its newest version."""
        return self._handles[name] if name in self._seen else super().delta(name)

    def refuse_changed(self, names: Iterable[str]) -> None:
        """Refuse to go on where somebody else has written to tables since they were looked at.

        Raises
        ------
        LockHeld
        """
        for name in names:
            if name in self._seen:
                refuse_changed(super().delta(name), self._seen[name])

    def file_writer(
        self,
        name: str,
        kernel: Callable[[Batches], Batches] | None = None,
        parts: Mapping[date, int] | None = None,
    ) -> DayFileWriter:
        """What writes files of a table in a task, for `commit`."""
        self.create([name])
        return DayFileWriter(self.address(name), name, arrow_schema(name), kernel, parts or {})

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
        refuse_other_days(name, written, days)
        files: list[AddAction | RemoveAction] = [*add_actions(written, int(time.time() * 1000))]

        def write(handle: DeltaTable) -> None:
            replaced = sorted(logged_days(handle) & set(days))
            handle.create_write_transaction(
                files,
                mode="overwrite" if replaced else "append",
                schema=handle.schema(),
                partition_by=list(TABLES[name].partition_by),
                partition_filters=[("ds", "in", [str(day) for day in replaced])]
                if replaced
                else None,
                commit_properties=once(),
            )

        if files or self.days(name) & set(days):
            return self._commit(name, days, write)
        return self.version(name)

    def _commit(
        self, name: str, days: Sequence[date] | None, write: Callable[[DeltaTable], None]
    ) -> int:
        self.before_commit()
        handle = self.delta(name)
        if name in self._seen:
            made = commit_after(handle, self._seen[name], None, write)
            self._seen[name] = made
        else:
            made = commit_after(handle, None if days is None else handle.version(), days, write)
        self.commits[name] += 1
        return made

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

        def write(handle: DeltaTable) -> None:
            if days is not None and logged_days(handle) & set(days):
                where = day_condition(days)
                write_deltalake(
                    handle, ordered, mode="overwrite", predicate=where, commit_properties=once()
                )
            else:
                write_deltalake(handle, ordered, mode="append", commit_properties=once())

        return self._commit(name, days, write)

    def delete_days(self, name: str, days: Sequence[date]) -> int:
        """Remove all rows of days, in one commit."""

        def write(handle: DeltaTable) -> None:
            handle.delete(day_condition(days), commit_properties=once())

        return self._commit(name, days, write)

    def overwrite(self, name: str, rows: Callable[[], pa.RecordBatchReader]) -> int:
        """Replace all rows of a table, in one commit."""
        from deltalake import write_deltalake

        self.create([name])

        def write(handle: DeltaTable) -> None:
            write_deltalake(handle, rows(), mode="overwrite", commit_properties=once())

        return self._commit(name, None, write)

    def write_rows(
        self, name: str, rows: Sequence[dict[str, object]], days: Sequence[date] | None
    ) -> int:
        """`write_arrow` for rows given as dictionaries."""
        table = pa.Table.from_pylist(list(rows), schema=arrow_schema(name))
        return self.write_arrow(name, table, days)

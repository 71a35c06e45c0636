"""Tables that tasks make: from a Spark frame, or from units of work such as files and days."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.contracts import ContractError, contract_differences
from jobs.storage.day_files import WRITTEN_DDL
from jobs.storage.tables import Tables
from pipelines.units_spark import Batches, collect_units, unit_frame, unit_kernel
from schemas.catalog import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def write_frame(tables: Tables, name: str, frame: DataFrame, days: Sequence[date]) -> int:
    """Replace exactly these days of a table by a Spark frame, in one commit.

    Returns
    -------
    int
        The Delta version written.

    Raises
    ------
    ContractError
        The columns are not those declared, or a row is of none of the days.
    """
    return tables.commit(name, frame_files(tables, name, frame), days)


def frame_files(tables: Tables, name: str, frame: DataFrame) -> pa.Table:
    """Write a Spark frame to files of a table that `Tables.commit` makes part of it.

    Returns
    -------
    pyarrow.Table
        As of `day_files.WRITTEN`.

    Raises
    ------
    ContractError
        The columns are not those declared.
    """
    differences = contract_differences(TABLES[name], frame.schema)
    if differences:
        raise ContractError(f"{name}: " + "; ".join(differences))
    rows = frame.select(*TABLES[name].column_names)
    return rows.mapInArrow(tables.file_writer(name), WRITTEN_DDL).toArrow()


def write_units(
    tables: Tables, name: str, count: int, run: Callable[[int], Batches], days: Sequence[date]
) -> int:
    """Replace exactly these days by what tasks make of units of work, in one commit.

    Parameters
    ----------
    count : int
        Number of units.
    run : callable
        Gives rows of the table for a unit's number; runs in a task.
    """
    return tables.commit(name, unit_files(tables, name, count, run), days)


def unit_files(tables: Tables, name: str, count: int, run: Callable[[int], Batches]) -> pa.Table:
    """`frame_files` for what tasks make of units of work."""
    writer = tables.file_writer(name, unit_kernel(run))
    return unit_frame(tables.spark, count).mapInArrow(writer, WRITTEN_DDL).toArrow()


def write_unit_tables(
    tables: Tables,
    names: Sequence[str],
    count: int,
    run: Callable[[int], Iterable[tuple[str, pa.Table]]],
    days: Sequence[date],
) -> None:
    """`write_units` for several tables that tasks make in one go; one commit each.

    Parameters
    ----------
    run : callable
        Gives table names and rows for a unit's number; runs in a task.
    """
    writers = {name: tables.file_writer(name) for name in names}

    def write(number: int) -> Batches:
        for name, rows in run(number):
            for batch in writers[name](iter(rows.to_batches())):
                yield batch.append_column("table", pa.repeat(pa.scalar(name), batch.num_rows))

    written = collect_units(tables.spark, count, write, f"{WRITTEN_DDL}, table string")
    for name in names:
        files = written.filter(pc.equal(written["table"], name))
        tables.commit(name, files.drop_columns(["table"]), days)

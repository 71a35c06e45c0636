"""Tables that tasks make: from a Spark frame, or from units of work such as files and days."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from jobs.storage.contracts import ContractError, contract_differences
from jobs.storage.day_file_writer import BUFFER_BYTES
from jobs.storage.day_files import WRITTEN_DDL
from jobs.storage.stored_parts import Parts, placed_rows, rows_in_parts, rows_of_place
from jobs.storage.tables import Tables
from pipelines.packed_rows_spark import Placed, moved_units, unpacked_by_place
from pipelines.parts import Places
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
    tables: Tables,
    name: str,
    count: int,
    run: Callable[[int], Batches],
    days: Sequence[date],
    parts: Mapping[date, int] | None = None,
) -> int:
    """Replace exactly these days by what tasks make of units of work, in one commit.

    Parameters
    ----------
    count : int
        Number of units.
    run : callable
        Gives rows of the table for a unit's number; runs in a task.
    parts : mapping of date to int, optional
        How many parts each day is stored in; rows then have a column `day_file_writer.PART`.
    """
    return tables.commit(name, unit_files(tables, name, count, run, parts), days)


def write_parts(
    tables: Tables,
    name: str,
    count: int,
    run: Callable[[int], Batches],
    days: Sequence[date],
    parts: Parts,
) -> None:
    """`write_units` for days that may have parts; Spark moves the rows of those to their part.

    Where all days have one part nothing is moved, and a unit must make all rows of its day.
    """
    if all(parts.of_day.get(day, 1) == 1 for day in days):
        write_units(tables, name, count, run, days)
        return

    def made(number: int) -> Iterator[tuple[str, pa.Table]]:
        for batch in run(number):
            yield name, pa.Table.from_batches([batch])

    write_unit_tables(tables, count, made, days, {name: parts})


def unit_files(
    tables: Tables,
    name: str,
    count: int,
    run: Callable[[int], Batches],
    parts: Mapping[date, int] | None = None,
) -> pa.Table:
    """`frame_files` for what tasks make of units of work."""
    writer = tables.file_writer(name, unit_kernel(run), parts)
    return unit_frame(tables.spark, count).mapInArrow(writer, WRITTEN_DDL).toArrow()


def write_unit_tables(
    tables: Tables,
    count: int,
    run: Callable[[int], Iterable[tuple[str, pa.Table]]],
    days: Sequence[date],
    parts: Mapping[str, Parts],
) -> None:
    """`write_parts` for several tables that tasks make in one go; one commit each.

    Parameters
    ----------
    run : callable
        Gives table names and rows for a unit's number; runs in a task.
    parts : mapping of str to Parts
        By the names of all tables.
    """
    for name, files in unit_table_files(tables, count, run, days, parts).items():
        tables.commit(name, files, days)


def unit_table_files(
    tables: Tables,
    count: int,
    run: Callable[[int], Iterable[tuple[str, pa.Table]]],
    days: Sequence[date],
    parts: Mapping[str, Parts],
) -> dict[str, pa.Table]:
    """The files of `write_unit_tables` by table, for `Tables.commit`."""
    names = list(parts)
    places = {
        name: Places({day: own.of_day.get(day, 1) for day in days}) for name, own in parts.items()
    }
    writers = {name: tables.file_writer(name, parts=places[name].parts) for name in names}
    # A task makes the same part of all tables: a task costs more than a small part.
    tasks = max(len(own.all) for name, own in places.items() if parts[name].is_moved)
    first = {name: number * tasks for number, name in enumerate(names)}
    is_gathered = any(own.gather is not None for own in parts.values())

    def scatter(number: int) -> Placed:
        for name, rows in run(number):
            for place, own in placed_rows(rows, places[name], parts[name]):
                yield first[name] + place, own

    def made(number: int) -> Iterator[tuple[str, Batches]]:
        for name, rows in run(number):
            own = places[name], parts[name]
            yield name, rows.to_batches() if parts[name].is_moved else rows_in_parts(rows, *own)

    def gathered(batches: Batches) -> Iterator[tuple[str, Batches]]:
        for place, rows in unpacked_by_place(batches, whole=is_gathered):
            name = names[place // tasks]
            yield name, rows_of_place(rows, place - first[name], places[name], parts[name])

    def write(named: Iterable[tuple[str, Batches]]) -> Batches:
        opened = {name: writer.open() for name, writer in writers.items()}
        for name, batches in named:
            for batch in batches:
                opened[name].add(batch)
            # Of several tables no more is held back than of one.
            if sum(files.held for files in opened.values()) > BUFFER_BYTES:
                for files in opened.values():
                    files.flush()
        for name, files in opened.items():
            for batch in files.close():
                yield batch.append_column("table", pa.repeat(pa.scalar(name), batch.num_rows))

    ddl = f"{WRITTEN_DDL}, table string"
    if tasks == len(days):
        written = collect_units(tables.spark, count, lambda number: write(made(number)), ddl)
    else:
        moved = moved_units(tables.spark, count, scatter, tasks)
        written = moved.mapInArrow(lambda batches: write(gathered(batches)), ddl).toArrow()
    return {
        name: written.filter(pc.equal(written["table"], name)).drop_columns(["table"])
        for name in names
    }

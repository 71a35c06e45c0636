"""Days of a log that need no Spark to be read: their landing files have the canonical types."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from pyarrow import fs
from pyspark.sql import functions as F

from jobs.landing.canonical_logs import YieldedLog
from jobs.landing.sources import Source
from jobs.landing.typed_files import TypedFile, TypedRows, read_typed, typed_file
from jobs.step import Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_files import DataFile, absolute
from jobs.storage.day_reader import DayReader
from jobs.storage.slices import slices
from jobs.storage.store_files import open_root
from jobs.storage.tables import Tables
from jobs.storage.task_writes import unit_files
from pipelines.features.xxhash import Hashes
from pipelines.logs.certain import repeated_ids
from pipelines.packed_rows_spark import Placed, moved_units, unpacked_by_place
from pipelines.parts import Places, part_in_order
from pipelines.units_spark import Batches
from schemas.logs import LOGS

_SHOWN = ("impression_id", "ts", "user_id", "listing_id")
_FOUND = pa.schema([("place", pa.int32()), ("ids", pa.list_(pa.int64()))])
_FOUND_DDL = "place int, ids array<bigint>"

TypedDays = dict[date, list[TypedFile]]
"""The files of each day."""


def typed_days(source: Source, log: str, days: Sequence[date], *, max_bytes: int) -> TypedDays:
    """Find the days of a log all of whose files have the canonical types.

    Parameters
    ----------
    max_bytes : int
        A day whose files are larger in all is left out.
    """
    if not _selects_all(source, log):
        return {}
    declared = declared_columns(log)
    required = frozenset(column.name for column in LOGS[log] if not column.nullable)
    typed: TypedDays = {}
    for day in days:
        landed = source.day_files(source.spec.logs[log].views[0], [day])
        if not landed or sum(file.size for file in landed) > max_bytes:
            continue
        files = [typed_file(absolute(file.address), declared, required) for file in landed]
        known = [file for file in files if file is not None]
        if len(known) == len(files):
            typed[day] = known
    return typed


def _selects_all(source: Source, log: str) -> bool:
    """Whether a log is one view of daily files, as they are."""
    if not source.days(log) or not source.has_day_files(log):
        return False
    views = source.spec.logs[log].views
    sql = re.sub(r"--[^\n]*", "", source.selects[log])
    is_all = re.fullmatch(rf"\s*select\s+\*\s+from\s+`?{views[0]}`?\s*", sql, re.IGNORECASE)
    required = set(source.spec.views[views[0]].required)
    return len(views) == 1 and is_all is not None and required <= {c.name for c in LOGS[log]}


def day_rows(log: str, files: Sequence[TypedFile]) -> Iterator[pa.RecordBatch]:
    """The rows of a day's files, canonical columns in canonical types, by row groups."""
    schema = declared_columns(log)
    return read_typed(files, schema, schema.names)


def declared_columns(log: str) -> pa.Schema:
    """The canonical columns of a log."""
    return pa.schema([arrow_schema(log).field(column.name) for column in LOGS[log]])


@dataclass(frozen=True)
class Aside:
    """The folder for rows that are not certainly good, while a step runs."""

    root: str

    @classmethod
    def of(cls, tables: Tables) -> Aside:
        """That of a warehouse: one writer at a time is in it."""
        return cls(f"{absolute(tables.root).rstrip('/')}/_doubtful")

    def folder(self, log: str, day: date) -> str:
        """The files of a log and day, one for each task that had any."""
        return f"{self.root}/{log}/ds={day}"

    def clear(self) -> None:
        """Remove the folder, also what a killed run left in it."""
        filesystem, path = open_root(self.root)
        if filesystem.get_file_info(path).type != fs.FileType.NotFound:
            filesystem.delete_dir(path)

    def days(self, log: str) -> list[date]:
        """The days of a log with rows set aside."""
        filesystem, path = open_root(f"{self.root}/{log}")
        folders = filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return sorted(date.fromisoformat(info.base_name.removeprefix("ds=")) for info in folders)

    def read(self, step: Step, log: str, days: Sequence[date]) -> YieldedLog:
        """The rows set aside, as the log's SELECT would yield them."""
        reader = step.spark.read.option("basePath", f"{self.root}/{log}")
        rows = reader.parquet(*(self.folder(log, day) for day in days))
        return YieldedLog(rows.withColumn("ds", F.col("ds").cast("date")), None)


def typed_rows(step: Step, log: str, typed: TypedDays, aside: Aside) -> list[TypedRows]:
    """The rows of days in slices of about `Tables.part_rows`, and which ids are repeated in each.

    A day with so many repeated ids that they cannot be told to every task is left out.
    """
    landed = [
        DataFile(day, file.address, file.rows) for day, files in typed.items() for file in files
    ]
    numbers: Counter[date] = Counter()
    units = []
    for rows in slices(landed, step.tables.part_rows):
        place = f"{aside.folder(log, rows.ds)}/rows-{numbers[rows.ds]:05d}.parquet"
        numbers[rows.ds] += 1
        units.append(
            TypedRows(
                log, rows, declared_columns(log), place, step.config.ingest.max_string_bytes,
                _shown(step, rows.ds) if log == "clicks" else {},
            )
        )  # fmt: skip
    large = [unit for unit in units if numbers[unit.rows.ds] > 1]
    repeated = _repeated(step, large, numbers) if large else {}
    return [
        replace(unit, repeated=repeated.get(unit.rows.ds))
        for unit in units
        if unit.rows.ds in repeated or numbers[unit.rows.ds] == 1
    ]


def _repeated(
    step: Step, units: Sequence[TypedRows], parts: Mapping[date, int]
) -> dict[date, Hashes]:
    """Hashes of ids that occur more than once on a day of several slices; Spark moves hashes.

    Days with about as many of them as `Tables.part_rows` are left out.
    """
    days = sorted({unit.rows.ds for unit in units})
    places = Places({day: parts[day] for day in days})
    most = {day: step.tables.part_rows // parts[day] for day in days}

    def scatter(number: int) -> Placed:
        day = units[number].rows.ds
        for hashes in units[number].hashed_ids():
            place = places.first[day] + part_in_order(hashes, parts[day])
            yield place, pa.table({"id": hashes})

    def find(batches: Batches) -> Batches:
        for place, rows in unpacked_by_place(batches, whole=True):
            day, _ = places.all[place]
            # One too many says that there are more than are told.
            found = repeated_ids(rows["id"])[: most[day] + 1]
            yield pa.RecordBatch.from_pydict({"place": [place], "ids": [found]}, _FOUND)

    moved = moved_units(step.spark, len(units), scatter, len(places.all))
    found = moved.mapInArrow(find, _FOUND_DDL).toArrow()
    by_day: dict[date, list[Hashes]] = {day: [] for day in days}
    for place, ids in zip(found["place"].to_pylist(), found["ids"], strict=True):
        by_day[places.all[place][0]].append(ids.values.to_numpy())
    return {
        day: np.concatenate([np.zeros(0, np.int64), *of_day])
        for day, of_day in by_day.items()
        if all(len(ids) <= most[day] for ids in of_day)
    }


def write_good_rows(step: Step, log: str, units: Sequence[TypedRows]) -> pa.Table:
    """Write the certainly good rows of a log to files of its table, not committed yet.

    Returns
    -------
    pyarrow.Table
        As of `day_files.WRITTEN`.

    Raises
    ------
    InputMissing
        A file cannot be read; Spark tells it as a failed task.
    """

    def run(number: int) -> Batches:
        return units[number].good_rows()

    return unit_files(step.tables, log, len(units), run)


def _shown(step: Step, day: date) -> dict[date, DayReader]:
    """Accepted impressions of a day and the day before, as far as they are in the table."""
    days = [day, day - timedelta(days=1)]
    known = step.tables.days("impressions")
    read = step.tables.day_reader("impressions", days, _SHOWN)
    return {shown: read for shown in days if shown in known}

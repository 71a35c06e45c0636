"""Raw landing files as Spark frames: the views that a source's SELECTs read.

Text formats are read as text, never by inference; what is no row at all is set aside with its
reason. Parquet keeps its types. File headers and footers are read here, on the driver, so that an
unreadable file is named before any work is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.files import Landing, LandingFile
from jobs.landing.parquet_columns import (
    ParquetColumn,
    from_nanoseconds,
    parquet_columns,
    spark_schema,
)
from jobs.landing.raw_csv import read_csv
from jobs.landing.raw_files import RawView, day_of, name_list, open_files
from jobs.landing.raw_lines import read_lines
from jobs.landing.source_file import View
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing
from pipelines.logs.validation import MISSING
from schemas.logs import LOGS


def read_view(
    spark: SparkSession, source: Source, name: str, log: str, days: Sequence[date]
) -> RawView | None:
    """Read the files of a view for some days; None where there are none.

    Raises
    ------
    InputMissing
        If a file cannot be read; it is named.
    """
    view = source.spec.views[name]
    files = source.day_files(name, days)
    if not files:
        return None
    columns = view.columns or tuple(column.name for column in LOGS[log])
    default = () if view.columns else tuple(c.name for c in LOGS[log] if not c.nullable)
    required = view.required or default
    parts: list[RawView] = []
    for (kind, *_), of_kind in _alike(view, files).items():
        if kind == "parquet":
            parts += _parquet(spark, source.landing, view, of_kind, required)
        elif kind == "csv":
            parts += read_csv(spark, source.landing, view, of_kind, required)
        else:
            parts.append(read_lines(spark, source.landing, view, of_kind, kind, columns, required))
    if not parts:
        return RawView(spark.createDataFrame([], "ds date"), None, has_columns=False)
    refused = [part.refused for part in parts if part.refused is not None]
    unread = tuple(sorted({column for part in parts for column in part.unread}))
    return RawView(
        _union([part.rows for part in parts]), _union(refused) if refused else None, unread
    )


def _union(frames: list[DataFrame]) -> DataFrame:
    """All rows; a column that is text in some files and typed in others becomes text.

    A union would cast the text instead, and fail on what cannot be cast. To Spark, names that
    differ in case are the same.
    """
    types: dict[str, set[str]] = {}
    for frame in frames:
        for field in frame.schema.fields:
            types.setdefault(field.name.lower(), set()).add(field.dataType.simpleString())
    mixed = {name for name, kinds in types.items() if len(kinds) > 1 and "string" in kinds}
    alike = [
        frame.withColumns({n: _as_text(frame, n) for n in frame.columns if n.lower() in mixed})
        if mixed
        else frame
        for frame in frames
    ]
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), alike)


def _as_text(frame: DataFrame, name: str) -> Column:
    value, have = F.col(f"`{name}`"), frame.schema[name].dataType
    if isinstance(have, (T.ArrayType, T.MapType, T.StructType)):
        return F.to_json(value)
    if isinstance(have, (T.FloatType, T.DoubleType)):
        # As text elsewhere has it: 7 and not 7.0, which as an id would be another one.
        whole = value.try_cast("bigint")
        return F.when(whole == value, whole.cast("string")).otherwise(value.cast("string"))
    return value.cast("string")


def _alike(view: View, files: Sequence[LandingFile]) -> dict[tuple[str, ...], list[LandingFile]]:
    """Files that one reader takes at once: one format, folders ``name=value`` of the same names.

    Raises
    ------
    InputMissing
        Spark cannot open a file of that name.
    """
    groups: dict[tuple[str, ...], list[LandingFile]] = {}
    for file in files:
        *folders, name = file.name.split("/")
        if ":" in name:
            raise InputMissing(
                f"landing file {file.address} cannot be read: Spark opens no file with a colon in "
                "its name; rename it"
            )
        names = (folder.partition("=")[0] for folder in folders if "=" in folder)
        groups.setdefault((str(view.format_of(file.name)), *names), []).append(file)
    return groups


def _parquet(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    required: Sequence[str],
) -> list[RawView]:
    groups: dict[tuple[ParquetColumn, ...], list[LandingFile]] = {}
    for file in files:
        groups.setdefault(parquet_columns(landing, file), []).append(file)
    absent = [[c for c in required if c not in {f.name for f in key}] for key in groups]
    views = []
    for (columns, group), lacking in zip(groups.items(), absent, strict=True):
        reader = open_files(spark, landing, view)
        unread = tuple(column for column in columns if column.spark_type is None)
        if unread:
            # Told what to read, Spark does not look at the columns that it cannot.
            reader = reader.schema(spark_schema(columns))
        frame = reader.parquet(*(file.address for file in group))
        instants = {column.name for column in columns if column.is_nanoseconds}
        # Spark takes a column without any type, as Arrow writes one of nulls only, for integers.
        untyped = {column.name for column in columns if column.is_untyped}
        taken = [
            F.lit(None).alias(name)
            if name in untyped
            else from_nanoseconds(name)
            if name in instants
            else F.col(f"`{name}`")
            for name in frame.columns
            if name != "ds" or not view.pattern.has_day
        ]
        missing = [name_list(lacking).alias(MISSING)] if any(absent) else []
        day = day_of(view, frame)
        rows = frame.select(*taken, *day, *missing)
        told = tuple(f"{column.name} ({column.kind}, {group[0].address})" for column in unread)
        views.append(RawView(rows, None, told))
    return views

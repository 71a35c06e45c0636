"""Raw landing files as Spark frames: the views that a source's SELECTs read.

Text formats are read as text, never by inference; what is no row at all is set aside with its
reason. Parquet keeps its types. File headers and footers are read here, on the driver, so that an
unreadable file is named before any work is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.files import Landing, LandingFile
from jobs.landing.raw_csv import read_csv
from jobs.landing.raw_files import RawView, day_of, first_line, name_list, open_files
from jobs.landing.raw_lines import read_lines
from jobs.landing.sources import Source, View
from jobs.setup.exits import InputMissing, UsageError
from pipelines.logs.validation import MISSING
from schemas.logs import LOGS

_SUFFIXES = {
    "parquet": "parquet",
    "jsonl": "jsonl",
    "json": "jsonl",
    "ndjson": "jsonl",
    "csv": "csv",
}
_COMPRESSIONS = ("gz", "bz2", "zst", "zstd")


def read_view(
    spark: SparkSession, source: Source, name: str, log: str, days: Sequence[date]
) -> RawView | None:
    """Read the files of a view for some days; None where there are none.

    Raises
    ------
    InputMissing
        If a file cannot be read; it is named.
    UsageError
        If the format of a file is not known.
    """
    view = source.spec.views[name]
    files = source.day_files(name, days)
    if not files:
        return None
    columns = view.columns or tuple(column.name for column in LOGS[log])
    default = () if view.columns else tuple(c.name for c in LOGS[log] if not c.nullable)
    required = view.required or default
    parts: list[RawView] = []
    for kind, of_kind in _by_format(view, files).items():
        if kind == "parquet":
            parts += _parquet(spark, source.landing, view, of_kind, required)
        elif kind == "csv":
            parts += read_csv(spark, source.landing, view, of_kind, required)
        else:
            parts.append(read_lines(spark, source.landing, view, of_kind, kind, columns, required))
    refused = [part.refused for part in parts if part.refused is not None]
    return RawView(_union([part.rows for part in parts]), _union(refused) if refused else None)


def _union(frames: list[DataFrame]) -> DataFrame:
    """All rows; a column that is text in some files and typed in others becomes text.

    A union would cast the text instead, and fail on what cannot be cast.
    """
    types: dict[str, set[str]] = {}
    for frame in frames:
        for field in frame.schema.fields:
            types.setdefault(field.name, set()).add(field.dataType.simpleString())
    mixed = {name for name, kinds in types.items() if len(kinds) > 1 and "string" in kinds}
    alike = [
        frame.withColumns({n: _as_text(frame, n) for n in mixed if n in frame.columns})
        if mixed
        else frame
        for frame in frames
    ]
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), alike)


def _as_text(frame: DataFrame, name: str) -> Column:
    value, have = F.col(f"`{name}`"), frame.schema[name].dataType
    if isinstance(have, (T.ArrayType, T.MapType, T.StructType)):
        return F.to_json(value)
    return value.cast("string")


def _by_format(view: View, files: Sequence[LandingFile]) -> dict[str, list[LandingFile]]:
    by_kind: dict[str, list[LandingFile]] = {}
    for file in files:
        kind = view.format
        if kind == "auto":
            endings = [e for e in file.name.lower().split(".")[1:] if e not in _COMPRESSIONS]
            ending = endings[-1] if endings else ""
            if ending not in _SUFFIXES:
                raise UsageError(f"landing file {file.name}: name its format in source.toml")
            kind = _SUFFIXES[ending]  # type: ignore[assignment]
        by_kind.setdefault(kind, []).append(file)
    return by_kind


def _parquet(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    required: Sequence[str],
) -> list[RawView]:
    groups: dict[tuple[tuple[str, str], ...], list[LandingFile]] = {}
    for file in files:
        schema = _footer(landing, file)
        key = tuple((field.name, str(field.type)) for field in schema)
        groups.setdefault(key, []).append(file)
    lacking = [[c for c in required if c not in dict(key)] for key in groups]
    views = []
    for (key, group), absent in zip(groups.items(), lacking, strict=True):
        frame = open_files(spark, landing, view).parquet(*(file.address for file in group))
        # Spark takes a column without any type, as Arrow writes one of nulls only, for integers.
        untyped = {name for name, kind in key if kind == "null"}
        names = [
            F.lit(None).alias(name) if name in untyped else F.col(f"`{name}`")
            for name in frame.columns
            if name != "ds" or not view.pattern.has_day
        ]
        missing = [name_list(absent).alias(MISSING)] if any(lacking) else []
        day = day_of(view, frame)
        views.append(RawView(frame.select(*names, *day, *missing), None))
    return views


def _footer(landing: Landing, file: LandingFile) -> pa.Schema:
    try:
        with landing.filesystem.open_input_file(landing.path(file.name)) as opened:
            return pq.read_schema(opened)
    except (OSError, pa.ArrowException) as problem:
        raise InputMissing(
            f"landing file {file.address} cannot be read as Parquet: {first_line(problem)}"
        ) from None

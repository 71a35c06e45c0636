"""Raw landing files as Spark frames: the views that a source's SELECTs read.

Text formats are read as text, never by inference; what is no row at all is set aside with its
reason. Parquet keeps its types. File headers and footers are read here, on the driver, so that an
unreadable file is named before any work is done.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.runtime.exits import InputMissing, UsageError
from jobs.runtime.landing import Landing, LandingFile
from jobs.runtime.sources import Source, View
from pipelines.logs import reasons as R
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
_CORRUPT = "_corrupt"
_NO_TEXT = "\0"


@dataclass(frozen=True)
class RawView:
    """The rows of a view, and the lines that are no rows.

    Attributes
    ----------
    rows : DataFrame
        The file's columns, `ds` where files stand for days, `_missing` where a row or file may
        lack a required column.
    refused : DataFrame or None
        ds (null where files do not tell their day), raw, reasons.
    """

    rows: DataFrame
    refused: DataFrame | None


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
            parts += _csv(spark, source.landing, view, of_kind, required)
        else:
            parts.append(_lines(spark, source.landing, view, of_kind, kind, columns, required))
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
    mixed = {name for name, found in types.items() if len(found) > 1 and "string" in found}
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
    found: dict[str, list[LandingFile]] = {}
    for file in files:
        kind = view.format
        if kind == "auto":
            endings = [e for e in file.name.lower().split(".")[1:] if e not in _COMPRESSIONS]
            ending = endings[-1] if endings else ""
            if ending not in _SUFFIXES:
                raise UsageError(f"landing file {file.name}: name its format in source.toml")
            kind = _SUFFIXES[ending]  # type: ignore[assignment]
        found.setdefault(kind, []).append(file)
    return found


def _open(spark: SparkSession, landing: Landing, view: View) -> DataFrameReader:
    """A reader that makes a column of a path's ``name=value`` folders, ``ds={ds}`` above all."""
    if not view.pattern.has_day:
        return spark.read
    folder = view.pattern.folder
    return spark.read.option("basePath", f"{landing.root}/{folder}" if folder else landing.root)


def _day(view: View, frame: DataFrame) -> list[Column]:
    """`ds` of each row's file, where files stand for days."""
    pattern = view.pattern
    if not pattern.has_day:
        return []
    if "/ds={ds}/" in f"/{pattern.text}":
        # Constant per file: Spark reads it at no cost, and a regular expression for every row at
        # more than the rest of the scan.
        return [F.col("ds").cast("date")]
    order = [found[1] for found in re.finditer(r"\?P<([Ymd])>", pattern.regex.pattern)]
    expression = re.sub(r"\?P<[Ymd]>", "", pattern.regex.pattern) + "$"
    path = F.col("_metadata.file_path")
    parts = [F.regexp_extract(path, expression, order.index(part) + 1) for part in "Ymd"]
    return [F.to_date(F.concat_ws("-", *parts)).alias("ds")]


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
    for group, absent in zip(groups.values(), lacking, strict=True):
        frame = _open(spark, landing, view).parquet(*(file.address for file in group))
        names = [
            F.col(f"`{name}`") for name in frame.columns if name != "ds" or not view.pattern.has_day
        ]
        missing = [_names(absent).alias(MISSING)] if any(lacking) else []
        day = _day(view, frame)
        views.append(RawView(frame.select(*names, *day, *missing), None))
    return views


def _footer(landing: Landing, file: LandingFile) -> pa.Schema:
    try:
        with landing.filesystem.open_input_file(landing.path(file.name)) as opened:
            return pq.read_schema(opened)
    except (OSError, pa.ArrowException) as problem:
        raise InputMissing(
            f"landing file {file.address} cannot be read as Parquet: {_first_line(problem)}"
        ) from None


def _names(names: Sequence[str]) -> Column:
    return F.array(*(F.lit(name) for name in names)).cast("array<string>")


def _lines(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    kind: str,
    columns: Sequence[str],
    required: Sequence[str],
) -> RawView:
    """JSON lines, or lines of text as the column `value`."""
    lines = _open(spark, landing, view).text([file.address for file in files])
    day = _day(view, lines)
    lines = lines.select("value", *day).where("trim(value) != ''")
    is_utf8 = F.is_valid_utf8("value")
    if kind == "text":
        is_row, parsed = is_utf8, lines
        refused_for = F.lit(R.INVALID_UTF8)
    else:
        fields = [T.StructField(name, T.StringType()) for name in (*columns, _CORRUPT)]
        options = {"columnNameOfCorruptRecord": _CORRUPT}
        value = F.from_json(F.when(is_utf8, F.col("value")), T.StructType(fields), options)
        parsed = lines.withColumn("_json", value)
        is_object = F.ltrim("value").startswith("{") & F.col(f"_json.{_CORRUPT}").isNull()
        is_row = is_utf8 & F.coalesce(is_object, F.lit(False))
        refused_for = F.when(is_utf8, R.NOT_JSON).otherwise(R.INVALID_UTF8)
    has_day = [F.col("ds")] if day else []
    refused = parsed.where(~is_row).select(
        *(has_day or [F.lit(None).cast("date").alias("ds")]),
        F.make_valid_utf8("value").alias("raw"),
        F.array(refused_for).alias("reasons"),
    )
    rows = parsed.where(is_row)
    if kind == "text":
        return RawView(rows, refused)
    has_null = reduce(
        lambda a, b: a | b, [F.col(f"_json.`{name}`").isNull() for name in required], F.lit(False)
    )
    # The keys are looked for only in lines that may lack one: null is not the same as absent.
    absent = F.array_except(_names(required), F.json_object_keys("value"))
    missing = F.when(has_null, absent).otherwise(_names([]))
    fields_read = [F.col(f"_json.`{name}`").alias(name) for name in columns]
    return RawView(rows.select(*fields_read, *has_day, missing.alias(MISSING)), refused)


def _csv(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    required: Sequence[str],
) -> list[RawView]:
    groups: dict[tuple[str, ...], list[LandingFile]] = {}
    for file in files:
        groups.setdefault(_header(landing, view, file), []).append(file)
    options = {
        "sep": view.options.get("separator", ","),
        "quote": view.options.get("quote", '"'),
        "escape": view.options.get("escape", '"'),
    }
    return [
        _csv_group(spark, landing, view, group, options, h, required) for h, group in groups.items()
    ]


def _csv_group(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    options: dict[str, str],
    header: tuple[str, ...],
    required: Sequence[str],
) -> RawView:
    fields = [T.StructField(name, T.StringType()) for name in (*header, _CORRUPT)]
    frame = (
        _open(spark, landing, view)
        .options(**options)
        .option("header", True)
        .option("multiLine", True)
        # Every byte survives as a character; `_utf8` turns them into the text that they are.
        .option("encoding", "ISO-8859-1")
        # An empty field is null, a quoted empty one is the empty string.
        .option("nullValue", _NO_TEXT)
        .option("emptyValue", "")
        .option("columnNameOfCorruptRecord", _CORRUPT)
        .schema(T.StructType(fields))
        .csv([file.address for file in files])
    )
    day = _day(view, frame)
    has_day = [F.col("ds")] if day else []
    # A row with other than the header's number of fields comes with its text; where fields are
    # missing the last ones are null.
    header_columns = [F.col(f"`{name}`") for name in header if name != "ds" or not day]
    is_short = F.col(_CORRUPT).isNotNull() & F.col(f"`{header[-1]}`").isNull()
    is_long = F.col(_CORRUPT).isNotNull() & F.col(f"`{header[-1]}`").isNotNull()
    marked = frame.select(
        *header_columns, _CORRUPT, *day, is_short.alias("_short"), is_long.alias("_long")
    )
    refused = marked.where("_long").select(
        *(has_day or [F.lit(None).cast("date").alias("ds")]),
        F.make_valid_utf8(_utf8(_CORRUPT)).alias("raw"),
        F.array(F.lit(R.MALFORMED_ROW)).alias("reasons"),
    )
    never = _names([name for name in required if name not in header])
    null_ones = [F.when(F.col(f"`{n}`").isNull(), F.lit(n)) for n in required if n in header]
    cut_off = F.concat(never, F.array_compact(F.array(*null_ones).cast("array<string>")))
    missing = F.when(F.col("_short"), cut_off).otherwise(never)
    columns = [_utf8(name).alias(name) for name in header if name != "ds" or not day]
    return RawView(
        marked.where("NOT _long").select(*columns, *has_day, missing.alias(MISSING)), refused
    )


def _utf8(name: str) -> Column:
    value = F.col(f"`{name}`")
    is_ascii = F.length(value) == F.octet_length(value)
    return F.when(is_ascii, value).otherwise(F.encode(value, "ISO-8859-1").cast("string"))


def _header(landing: Landing, view: View, file: LandingFile) -> tuple[str, ...]:
    try:
        with landing.filesystem.open_input_stream(
            landing.path(file.name), compression="detect"
        ) as stream:
            line = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="").readline()
        rows = csv.reader(
            [line],
            delimiter=view.options.get("separator", ","),
            quotechar=view.options.get("quote", '"'),
        )
        names = next(rows)
    except StopIteration:
        raise InputMissing(f"landing file {file.address} has no header") from None
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as problem:
        raise InputMissing(
            f"landing file {file.address} cannot be read as CSV: {_first_line(problem)}"
        ) from None
    named = [name.strip() or f"_c{at}" for at, name in enumerate(names)]
    if len(set(named)) < len(named):
        raise UsageError(f"landing file {file.address}: a column name appears twice in its header")
    return tuple(named)


def _first_line(problem: Exception) -> str:
    return str(problem).strip().split("\n", 1)[0][:200]

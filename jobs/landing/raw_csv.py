"""Landing files of comma-separated values, every field read as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

import pyarrow as pa
from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.files import Landing, LandingFile
from jobs.landing.raw_files import CORRUPT, RawView, day_of, first_line, name_list, open_files
from jobs.landing.source_file import View
from jobs.setup.exits import InputMissing, UsageError
from pipelines.logs import reasons as R
from pipelines.logs.validation import MISSING

_NO_TEXT = "\0"


def read_csv(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    required: Sequence[str],
) -> list[RawView]:
    """CSV files by their headers: one view per set of columns; none of a file without a line."""
    groups: dict[tuple[tuple[str, ...], str], list[LandingFile]] = {}
    for file in files:
        header, line_end = _header(landing, view, file)
        if header:
            groups.setdefault((header, line_end), []).append(file)
    options = {
        "sep": view.options.get("separator", ","),
        "quote": view.options.get("quote", '"'),
        "escape": view.options.get("escape", '"'),
    }
    return [
        _csv_group(spark, landing, view, group, {**options, "lineSep": end}, header, required)
        for (header, end), group in groups.items()
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
    fields = [T.StructField(name, T.StringType()) for name in (*header, CORRUPT)]
    frame = (
        open_files(spark, landing, view)
        .options(**options)
        .option("header", True)
        .option("multiLine", True)
        # Every byte survives as a character; `_utf8` turns them into the text that they are.
        .option("encoding", "ISO-8859-1")
        # An empty field is null, a quoted empty one is the empty string.
        .option("nullValue", _NO_TEXT)
        .option("emptyValue", "")
        .option("columnNameOfCorruptRecord", CORRUPT)
        .schema(T.StructType(fields))
        .csv([file.address for file in files])
    )
    day = day_of(view, frame)
    has_day = [F.col("ds")] if day else []
    names = [name for name in header if name != "ds" or not day]
    frame = frame.where(~_is_blank(names))
    # A row with other than the header's number of fields comes with its text; where fields are
    # missing the last ones are null.
    is_short = F.col(CORRUPT).isNotNull() & F.col(f"`{header[-1]}`").isNull()
    is_long = F.col(CORRUPT).isNotNull() & F.col(f"`{header[-1]}`").isNotNull()
    marked = frame.select(
        *(F.col(f"`{name}`") for name in names),
        CORRUPT,
        *day,
        is_short.alias("_short"),
        is_long.alias("_long"),
    ).withColumns({n: _without_return(n, F.lit(n == header[-1]) | F.col("_short")) for n in names})
    refused = marked.where("_long").select(
        *(has_day or [F.lit(None).cast("date").alias("ds")]),
        F.make_valid_utf8(_utf8(CORRUPT)).alias("raw"),
        F.array(F.lit(R.MALFORMED_ROW)).alias("reasons"),
    )
    never = name_list([name for name in required if name not in header])
    null_ones = [F.when(F.col(f"`{n}`").isNull(), F.lit(n)) for n in required if n in header]
    cut_off = F.concat(never, F.array_compact(F.array(*null_ones).cast("array<string>")))
    missing = F.when(F.col("_short"), cut_off).otherwise(never)
    columns = [_utf8(name).alias(name) for name in names]
    return RawView(
        marked.where("NOT _long").select(*columns, *has_day, missing.alias(MISSING)), refused
    )


def _is_blank(names: Sequence[str]) -> Column:
    """Lines with nothing but a carriage return before their end; Spark leaves out empty ones."""
    rest = [F.col(f"`{name}`").isNull() for name in names[1:]]
    is_return = F.col(f"`{names[0]}`").eqNullSafe("\r")
    return reduce(lambda a, b: a & b, rest, is_return)


def _without_return(name: str, may_be_last: Column) -> Column:
    """A field; one that ends its row is without the carriage return of its line end."""
    value = F.col(f"`{name}`")
    cut = F.when(value != "\r", F.regexp_replace(value, "\r$", ""))
    return F.when(may_be_last & value.endswith("\r"), cut).otherwise(value)


def _utf8(name: str) -> Column:
    value = F.col(f"`{name}`")
    is_ascii = F.length(value) == F.octet_length(value)
    return F.when(is_ascii, value).otherwise(F.encode(value, "ISO-8859-1").cast("string"))


def _header(landing: Landing, view: View, file: LandingFile) -> tuple[tuple[str, ...], str]:
    """The names in a file's first row, and what ends its rows.

    That is a new line, with a carriage return before it or without: a file may have both. Only
    where the header ends with a return alone, all rows do.
    """
    line = ""

    def told(lines: Iterable[str]) -> Iterator[str]:
        nonlocal line
        for read in lines:
            line = read
            yield read

    try:
        with landing.filesystem.open_input_stream(
            landing.path(file.name), compression="detect"
        ) as stream:
            lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
            rows = csv.reader(
                told(lines),
                delimiter=view.options.get("separator", ","),
                quotechar=view.options.get("quote", '"'),
            )
            names = next((row for row in rows if row), [])
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as problem:
        raise InputMissing(
            f"landing file {file.address} cannot be read as CSV: {first_line(problem)}"
        ) from None
    named = [name.strip() or f"_c{place}" for place, name in enumerate(names)]
    if len({name.lower() for name in named}) < len(named):
        raise UsageError(
            f"landing file {file.address}: a column name appears twice in its header; upper and "
            "lower case are the same"
        )
    return tuple(named), "\r" if line.endswith("\r") else "\n"

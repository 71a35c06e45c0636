"""What the readers of raw landing files share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F

from jobs.landing.files import Landing
from jobs.landing.source_file import View

CORRUPT = "_corrupt"
"""Column in which Spark puts the text of a row that it cannot read."""


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
    unread : tuple of str
        Columns left out because Spark knows no such type, in words: name, type, file.
    has_columns : bool
        False where all files are empty, so that no header tells what columns there are.
    """

    rows: DataFrame
    refused: DataFrame | None
    unread: tuple[str, ...] = ()
    has_columns: bool = True


def open_files(spark: SparkSession, landing: Landing, view: View) -> DataFrameReader:
    """A reader that makes a column of a path's ``name=value`` folders, ``ds={ds}`` above all."""
    # Files are given by name: without this Spark takes brackets and the like for a pattern.
    reader = spark.read.option("__globPaths__", "false")
    if not view.pattern.has_day:
        return reader
    folder = view.pattern.folder
    return reader.option("basePath", f"{landing.root}/{folder}" if folder else landing.root)


def day_of(view: View, frame: DataFrame) -> list[Column]:
    """`ds` of each row's file, where files stand for days."""
    pattern = view.pattern
    if not pattern.has_day:
        return []
    if "/ds={ds}/" in f"/{pattern.text}":
        # Constant per file: Spark reads it at no cost, and a regular expression for every row at
        # more than the rest of the scan.
        return [F.col("ds").cast("date")]
    order = [group[1] for group in re.finditer(r"\?P<([Ymd])>", pattern.regex.pattern)]
    expression = re.sub(r"\?P<[Ymd]>", "", pattern.regex.pattern) + "$"
    # An address with every character but those of a name written as %XX.
    path = F.url_decode(F.replace("_metadata.file_path", F.lit("+"), F.lit("%2B")))
    parts = [F.regexp_extract(path, expression, order.index(part) + 1) for part in "Ymd"]
    return [F.to_date(F.concat_ws("-", *parts)).alias("ds")]


def name_list(names: Sequence[str]) -> Column:
    """Names as an array of text, also where there are none."""
    return F.array(*(F.lit(name) for name in names)).cast("array<string>")


def first_line(problem: Exception) -> str:
    """What a problem says, in one line."""
    return str(problem).strip().split("\n", 1)[0][:200]

"""Landing files of lines: JSON, or text for a SELECT to take apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.files import Landing, LandingFile
from jobs.landing.raw_files import CORRUPT, RawView, day_of, name_list, open_files
from jobs.landing.source_file import View
from pipelines.logs import reasons as R
from pipelines.logs.validation import MISSING


def read_lines(
    spark: SparkSession,
    landing: Landing,
    view: View,
    files: Sequence[LandingFile],
    kind: str,
    columns: Sequence[str],
    required: Sequence[str],
) -> RawView:
    """JSON lines, or lines of text as the column `value`."""
    lines = open_files(spark, landing, view).text([file.address for file in files])
    day = day_of(view, lines)
    lines = lines.select("value", *day).where("trim(value) != ''")
    is_utf8 = F.is_valid_utf8("value")
    if kind == "text":
        is_row, parsed = is_utf8, lines
        refused_for = F.lit(R.INVALID_UTF8)
    else:
        fields = [T.StructField(name, T.StringType()) for name in (*columns, CORRUPT)]
        options = {"columnNameOfCorruptRecord": CORRUPT}
        value = F.from_json(F.when(is_utf8, F.col("value")), T.StructType(fields), options)
        parsed = lines.withColumn("_json", value)
        is_object = F.ltrim("value").startswith("{") & F.col(f"_json.{CORRUPT}").isNull()
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
    absent = F.array_except(name_list(required), F.json_object_keys("value"))
    missing = F.when(has_null, absent).otherwise(name_list([]))
    fields_read = [F.col(f"_json.`{name}`").alias(name) for name in columns]
    return RawView(rows.select(*fields_read, *has_day, missing.alias(MISSING)), refused)

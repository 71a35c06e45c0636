"""The canonical logs of a source as Spark frames: its SELECTs over its raw views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.landing.raw_files import RawView
from jobs.landing.raw_views import read_view
from jobs.landing.select_problems import failed_expression, sql_problem
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing, UsageError
from schemas.logs import LOGS


@dataclass(frozen=True)
class YieldedLog:
    """What a SELECT yields for some days, before any check.

    Attributes
    ----------
    rows : DataFrame
        The SELECT's columns with `ds` as a date: always one of the days.
    refused : DataFrame or None
        Lines that were no rows: ds, raw, reasons.
    """

    rows: DataFrame
    refused: DataFrame | None


def select_log(
    spark: SparkSession, source: Source, log: str, days: Sequence[date]
) -> YieldedLog | None:
    """Run a log's SELECT over the landing files of some days; None where none have landed.

    Raises
    ------
    UsageError
        If the SELECT cannot be understood or yields no `ds`.
    InputMissing
        If a file cannot be read, or another view of the SELECT has no files.
    """
    landed = sorted(set(source.days(log)) & set(days))
    if not landed:
        return None
    names = source.spec.logs[log].views
    views: dict[str, RawView] = {}
    for name in names:
        view = read_view(spark, source, name, log, landed)
        if view is None:
            raise InputMissing(f"the SELECT of {log} reads {name}, of which no file has landed")
        views[name] = view
    if not views[names[0]].has_columns:
        return YieldedLog(views[names[0]].rows, None)
    rows = _run_select(spark, source, log, views)
    wanted = {column.name for column in LOGS[log]} - set(rows.columns)
    for told in (told for view in views.values() for told in view.unread):
        if told.partition(" ")[0] in wanted:
            raise InputMissing(f"a column of {log} cannot be read: {told}")
    if "ds" not in rows.columns:
        raise UsageError(
            f"source {source.name}: the SELECT of {log} yields no ds, the log day: "
            "take the raw view's ds, or to_date(ts) where a file holds many days"
        )
    rows = rows.withColumn("ds", F.col("ds").try_cast(T.DateType()))
    refused = views[names[0]].refused
    if source.has_day_files(log):
        return YieldedLog(rows, refused)
    # What has no day of the file's own is told on the file's first day.
    every = source.days(log)
    in_file = F.coalesce(F.col("ds").between(F.lit(every[0]), F.lit(every[-1])), F.lit(False))
    rows = rows.withColumn("ds", F.when(in_file, F.col("ds")).otherwise(F.lit(every[0])))
    if refused is not None:
        refused = refused.withColumn("ds", F.lit(every[0])) if every[0] in landed else None
    if landed != every:
        rows = rows.where(F.col("ds").isin(landed))
    return YieldedLog(rows, refused)


def failed_select(source: Source, problem: BaseException) -> str | None:
    """What is to be said where a SELECT fails on a row; None for any other problem.

    All that is done to its rows afterwards is done so that bad ones are refused.
    """
    failed = failed_expression(problem)
    if failed is None:
        return None
    said, line, part = failed
    of = [name for name, select in source.selects.items() if part in select]
    where = source.directory / f"{of[0]}.sql" if of else source.directory
    return (
        f"{where}, line {line}: {said}, in {part[:80]}: let it be null instead (try_cast, "
        "try_divide, get), and the row is refused with its reason"
    )


def _run_select(
    spark: SparkSession, source: Source, log: str, views: dict[str, RawView]
) -> DataFrame:
    try:
        for name, view in views.items():
            view.rows.createOrReplaceTempView(name)
        return spark.sql(source.selects[log])
    except (AnalysisException, ParseException) as problem:
        text, line = sql_problem(problem)
        for told in (told for view in views.values() for told in view.unread):
            if f"`{told.partition(' ')[0]}`" in text:
                raise InputMissing(
                    f"the SELECT of {log} reads a column that cannot be read: {told}"
                ) from None
        at = f", line {line}" if line else ""
        raise UsageError(f"{source.directory / f'{log}.sql'}{at}: {text}") from None
    finally:
        for name in views:
            spark.catalog.dropTempView(name)

"""`check-source`: say per log and column what is wrong with a source, without running the chain.

Reads one day of landing files (the last that has impressions) and writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from rich.console import Console
from rich.table import Table

from jobs.landing.canonical_logs import YieldedLog, select_log
from jobs.landing.sources import Source, source_names
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from jobs.setup.session import start_session
from pipelines.logs import reasons as R
from pipelines.logs.click_matching import with_impression_day
from pipelines.logs.validation import MISSING, REASONS, REFUSED, with_checks
from schemas.logs import ID_COLUMN, LOGS

Level = Literal["wrong", "look", "good"]
_STYLES = {"wrong": "bold red", "look": "yellow", "good": "green"}
_WRONG_SHARE = 0.05
"""Refused more often than this, rows point to a mistake in the source, not to dirt in the logs."""
_HALF_DAY_AHEAD = 14
"""No time zone is farther from UTC, in hours."""

EXAMPLES = """examples:
  promoted-ctr check-source canonical --landing data/landing
  promoted-ctr check-source path/to/my_source --landing /data/raw --date 2026-02-06

exit code 10 when something is wrong, 0 otherwise"""


@dataclass(frozen=True)
class Finding:
    """One thing to say of a log, or of one of its columns."""

    log: str
    column: str
    level: Level
    text: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    known = ", ".join(source_names())
    parser.add_argument("name", nargs="?", help=f"one of {known}; or a directory")
    parser.add_argument("--date", type=date.fromisoformat, metavar="D", help="the day to look at")


def run(arguments: argparse.Namespace, config: Config, console: Console) -> int:
    """Check the source that the arguments name."""
    source = Source.load(arguments.name or config.source.name, config.storage.landing)
    spark = start_session(config, "check-source")
    limit = config.ingest.max_string_bytes
    return run_check(source, spark, console, day=arguments.date, max_string_bytes=limit)


def run_check(
    source: Source,
    spark: SparkSession,
    console: Console,
    *,
    day: date | None = None,
    max_string_bytes: int = 4096,
) -> int:
    """Print the findings as a table; 10 if something is wrong, else 0."""
    days = None if day is None else [day]
    findings = check_source(source, spark, days, max_string_bytes=max_string_bytes)
    table = Table(title=f"{source.name}: {source.spec.what}", title_justify="left")
    for heading in ("log", "column", "", "finding"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(
            finding.log,
            finding.column,
            f"[{_STYLES[finding.level]}]{finding.level}[/]",
            finding.text,
        )
    console.print(table)
    is_wrong = any(finding.level == "wrong" for finding in findings)
    return int(ExitCode.QUALITY if is_wrong else ExitCode.DONE)


def check_source(
    source: Source,
    spark: SparkSession,
    days: Sequence[date] | None = None,
    *,
    max_string_bytes: int = 4096,
) -> list[Finding]:
    """Look at one day (or the days given) of every log of a source.

    Raises
    ------
    InputMissing
        If a file cannot be read.
    """
    findings: list[Finding] = []
    checked: dict[str, DataFrame] = {}
    for log in LOGS:
        landed = source.days(log)
        if log not in source.logs or not landed:
            needed: Level = "wrong" if log == "impressions" else "look"
            what = "has no SELECT" if log not in source.logs else "no file has landed"
            findings.append(Finding(log, "", needed, what))
            continue
        last = source.last_complete_day()
        sample = days or [last if last in landed else landed[-1]]
        try:
            yielded = select_log(spark, source, log, sample)
            if yielded is None:
                findings.append(Finding(log, "", "wrong", f"no file has landed for {sample[0]}"))
                continue
            findings += _columns(log, yielded.rows)
            checked[log] = with_checks(yielded.rows, log, max_string_bytes=max_string_bytes)
        except UsageError as problem:
            findings.append(Finding(log, "", "wrong", str(problem)))
            continue
        except AnalysisException:
            # Already told per column: a type that cannot be cast.
            continue
        frame = checked[log]
        if log == "clicks" and "impressions" in checked:
            frame = with_impression_day(frame, _shown(source, spark, sample, max_string_bytes))
        findings += _rows(log, frame, yielded, sample)
    return findings


def _shown(
    source: Source, spark: SparkSession, days: Sequence[date], max_string_bytes: int
) -> DataFrame:
    reach = sorted({day - timedelta(days=back) for day in days for back in (0, 1)})
    yielded = select_log(spark, source, "impressions", reach)
    if yielded is None:
        raise UsageError("no impressions have landed")
    frame = with_checks(yielded.rows, "impressions", max_string_bytes=max_string_bytes)
    return frame.where(~F.col(REFUSED)).dropDuplicates(["impression_id", "ds"])


def _columns(log: str, rows: DataFrame) -> list[Finding]:
    """What can be said before a row is read: names and types."""
    have = {field.name: field.dataType for field in rows.schema.fields}
    findings = []
    for column in LOGS[log]:
        if column.name not in have:
            level: Level = "look" if column.nullable else "wrong"
            then = "stays null" if column.nullable else "every row will be refused"
            findings.append(Finding(log, column.name, level, f"missing ({column.comment}): {then}"))
            continue
        have_type, want_type = have[column.name], column.type
        if have_type == want_type:
            continue
        cast = f"CAST({column.name} AS {want_type.simpleString().upper()})"
        if isinstance(have_type, T.StringType) and isinstance(want_type, (T.ArrayType, T.MapType)):
            cast = f"from_json({column.name}, '{want_type.simpleString()}')"
        nested = isinstance(have_type, (T.StructType, T.ArrayType, T.MapType, T.BinaryType))
        verdict: Level = "wrong" if nested else "good"
        findings.append(
            Finding(
                log,
                column.name,
                verdict,
                f"is {have_type.simpleString()}, should be {want_type.simpleString()}: "
                + (f"write {cast}" if nested else f"cast when read, as by {cast}"),
            )
        )
    expected = {column.name for column in LOGS[log]} | {"ds", MISSING}
    for name in have:
        if name not in expected:
            text = "unexpected, not stored: put it into attributes if it should be"
            findings.append(Finding(log, name, "look", text))
    return findings


def _rows(log: str, checked: DataFrame, yielded: YieldedLog, days: Sequence[date]) -> list[Finding]:
    """What the rows of the sample say, from one aggregation."""
    columns = [column.name for column in LOGS[log]]
    measures: dict[str, Column] = {
        "rows": F.count("*"),
        "ids": F.count_distinct(F.nullif(F.col(ID_COLUMN[log]), F.lit(""))),
        "with id": F.count_if(F.col(ID_COLUMN[log]) != ""),
        **{f"null {name}": F.count_if(F.col(name).isNull()) for name in columns},
        **{f"for {r}": F.count_if(F.array_contains(REASONS, r)) for r in R.REASONS},
    }
    if log == "impressions":
        surface = F.col("surface")
        unknown = F.when(~surface.isin("search", "promoted"), surface.substr(1, 40))
        measures["surfaces"] = F.collect_set(unknown)
    if "ts" in columns:
        hour = F.floor((F.unix_micros("ts") / 1e6 - F.unix_date("ds") * 86400) / 3600)
        measures["first hour"], measures["last hour"] = F.min(hour), F.max(hour)
    measured = checked.agg(*(value.alias(name) for name, value in measures.items())).collect()[0]
    lines = {} if yielded.refused is None else _line_reasons(yielded.refused)
    read = measured["rows"] + sum(lines.values())
    if not read:
        return [Finding(log, "", "wrong", f"no rows for {days[0]}")]
    span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    findings = [Finding(log, "", "good", f"{read:,} rows of {span}")]
    counts: dict[str, int] = {r: measured[f"for {r}"] + lines.get(r, 0) for r in R.REASONS}
    counts[R.DUPLICATE_ID] = measured["with id"] - measured["ids"]
    for reason, refused in counts.items():
        if refused > 0:
            level: Level = "wrong" if refused > _WRONG_SHARE * read else "look"
            text = f"{refused:,} rows ({refused / read:.2%}) refused, {reason}: {R.REASONS[reason]}"
            findings.append(Finding(log, "", level, text + _hint(log, reason, measured)))
    for column in LOGS[log]:
        nulls = measured[f"null {column.name}"]
        if column.name in yielded.rows.columns and column.nullable and nulls:
            text = f"null in {nulls / max(measured['rows'], 1):.1%} of the rows"
            findings.append(Finding(log, column.name, "good", text))
    return findings


def _line_reasons(refused: DataFrame) -> dict[str, int]:
    exploded = refused.select(F.explode("reasons").alias("reason"))
    return {row["reason"]: row["count"] for row in exploded.groupBy("reason").count().collect()}


def _hint(log: str, reason: str, measured: Any) -> str:
    if reason == R.UNKNOWN_SURFACE:
        return f"; found {', '.join(sorted(measured['surfaces'])[:5])}"
    if reason == R.CLICK_WITHOUT_IMPRESSION:
        return "; do both logs make impression_id in the same way?"
    if reason == R.OUTSIDE_DAY:
        first, last = int(measured["first hour"]), int(measured["last hour"])
        text = f"; the hours run from {first} to {last} of the day"
        if first >= -_HALF_DAY_AHEAD and last <= 23 + _HALF_DAY_AHEAD:
            text += ": local time? use to_utc_timestamp(ts, 'Area/City')"
        return text
    return ""

"""What is to be said of a source: of its files, and of one day of each of its logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.landing.canonical_logs import select_log
from jobs.landing.log_findings import Finding, Level, columns_of, rows_of
from jobs.landing.raw_files import first_line
from jobs.landing.sources import Source
from jobs.setup.exits import InputMissing, UsageError
from pipelines.logs.click_matching import with_impression_day
from pipelines.logs.labels import LabelRules
from pipelines.logs.validation import REFUSED, with_checks
from schemas.logs import LOGS

_FILES_NAMED = 5
_MOST, _HALF = 0.95, 0.5
"""Shares of impressions whose listing is known: below, it is worth a look, or wrong."""


def check_source(
    source: Source,
    spark: SparkSession,
    days: Sequence[date] | None = None,
    *,
    max_string_bytes: int = 4096,
    labels: LabelRules | None = None,
) -> list[Finding]:
    """Look at one day (or the days given) of every log of a source.

    Parameters
    ----------
    labels : LabelRules, optional
        What makes a user id nobody's; without it, none is looked for.
    """
    findings: list[Finding] = []
    checked: dict[str, DataFrame] = {}
    for log in LOGS:
        landed = source.days(log)
        findings += _unread(source, log, days)
        if log not in source.logs or not landed:
            needed: Level = "wrong" if log == "impressions" else "look"
            where = source.landing.path(source.main_view(log).path) if log in source.logs else ""
            what = f"no file has landed as {where}" if where else "has no SELECT"
            findings.append(Finding(log, "", needed, what))
            continue
        last = source.last_complete_day()
        sample = days or [last if last in landed else landed[-1]]
        told = len(findings)
        try:
            yielded = select_log(spark, source, log, sample)
            if yielded is None:
                findings.append(Finding(log, "", "wrong", f"no file has landed for {sample[0]}"))
                continue
            findings += columns_of(log, yielded.rows)
            checked[log] = with_checks(yielded.rows, log, max_string_bytes=max_string_bytes)
            frame = checked[log]
            if log == "clicks" and "impressions" in checked:
                frame = with_impression_day(frame, _shown(source, spark, sample, max_string_bytes))
            findings += rows_of(log, frame, yielded, sample)
        except (UsageError, InputMissing) as problem:
            findings.insert(told, Finding(log, "", "wrong", str(problem)))
        except AnalysisException as problem:
            # Mostly told already, per column: a type that cannot be cast.
            if all(finding.level != "wrong" for finding in findings[told:]):
                findings.insert(told, Finding(log, "", "wrong", first_line(problem)))
            checked.pop(log, None)
    if "impressions" in checked:
        if labels is not None:
            findings += _nobody(checked["impressions"], labels)
        if "listings" in checked:
            findings += _partners(checked["impressions"], checked["listings"])
    return findings


def _unread(source: Source, log: str, days: Sequence[date] | None) -> list[Finding]:
    """The files beside a log's that nothing reads."""
    files = source.unread(log, days)
    found: list[Finding] = []
    for why in dict.fromkeys(file.why for file in files):
        of_kind = [file for file in files if file.why == why]
        names = ", ".join(file.name for file in of_kind[:_FILES_NAMED])
        more = f" and {len(of_kind) - _FILES_NAMED} more" if len(of_kind) > _FILES_NAMED else ""
        size = sum(file.size for file in of_kind)
        text = f"{len(of_kind)} files ({size:,} bytes) are not read, {why}: {names}{more}"
        found.append(Finding(log, "", "look", text))
    return found


def _nobody(impressions: DataFrame, rules: LabelRules) -> list[Finding]:
    """User ids on more rows than a person's is."""
    counted = impressions.where(~F.col(REFUSED)).groupBy("user_id").agg(F.count("*").alias("rows"))
    total = counted.agg(F.sum("rows")).collect()[0][0] or 0
    limit = rules.most_impressions(total)
    is_named = F.lower(F.trim("user_id")).isin(*rules.nobody)
    often = counted.where(F.col("user_id").isNotNull() & ((F.col("rows") > limit) | is_named))
    return [
        Finding(
            "impressions",
            "user_id",
            "look",
            f"{row['user_id'][:40]!r} is on {row['rows'] / total:.1%} of the rows: taken for a "
            "visitor who is not known, not for one person; null says the same",
        )
        for row in often.orderBy(F.desc("rows"), "user_id").limit(_FILES_NAMED).collect()
    ]


def _partners(impressions: DataFrame, listings: DataFrame) -> list[Finding]:
    """Whether the listings shown are in the listings' log."""
    shown = impressions.where(~F.col(REFUSED)).groupBy("listing_id").agg(F.count("*").alias("n"))
    known = listings.where(~F.col(REFUSED)).select("listing_id").distinct()
    joined = shown.join(known.withColumn("known", F.lit(True)), "listing_id", "left")
    row = joined.agg(
        F.sum("n").alias("rows"),
        F.sum(F.when(F.col("known"), F.col("n")).otherwise(0)).alias("found"),
        F.min(F.when(F.col("known").isNull(), F.col("listing_id"))).alias("unknown"),
    ).collect()[0]
    example = known.agg(F.min("listing_id")).collect()[0][0]
    if not row["rows"] or example is None:
        return []
    share = row["found"] / row["rows"]
    level: Level = "good" if share >= _MOST else "look" if share >= _HALF else "wrong"
    text = f"{share:.1%} of the impressions show a listing that the listings' log has"
    if level != "good":
        text += f"; it has no {str(row['unknown'])[:40]!r}, but {example[:40]!r}"
    return [Finding("impressions", "listing_id", level, text)]


def _shown(
    source: Source, spark: SparkSession, days: Sequence[date], max_string_bytes: int
) -> DataFrame:
    reach = sorted({day - timedelta(days=back) for day in days for back in (0, 1)})
    yielded = select_log(spark, source, "impressions", reach)
    if yielded is None:
        raise UsageError("no impressions have landed")
    frame = with_checks(yielded.rows, "impressions", max_string_bytes=max_string_bytes)
    return frame.where(~F.col(REFUSED)).dropDuplicates(["impression_id", "ds"])

"""Read the landing files of a source into `impressions`, `clicks`, `listings` and `quarantine`.

Grain: one row per id and day. Every row of the landing files is either accepted or in the
quarantine with all its reasons. Rows are typed and deduplicated, never repaired.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.runtime.canonical_logs import YieldedLog, select_log
from jobs.runtime.exits import InputMissing, UsageError
from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.logs.click_matching import head_digests, with_impression_day
from pipelines.logs.deduplication import count_ids, id_hash, with_duplicates_refused
from pipelines.logs.validation import REASONS, REFUSED, raw_json, with_checks
from schemas.catalog import TABLES
from schemas.logs import LOGS

_LOG_NUMBER = {log: number for number, log in enumerate(LOGS)}
_Counts = dict[tuple[str, date], int]


@dataclass(frozen=True)
class _Ids:
    """Rows per log and day, and per log the hashes of ids that may repeat."""

    rows: _Counts
    repeated: dict[str, pa.Table]


def run(step: Step) -> Outcome:
    """Ingest all days of the step in one go.

    Raises
    ------
    InputMissing
        If nothing has landed for a day, or a file cannot be read.
    """
    landed = {log: set(step.source.days(log)) for log in LOGS}
    for day in step.days:
        if not any(day in days for days in landed.values()):
            raise InputMissing(f"no log has landed for {day} under {step.source.landing.root}")
    try:
        return _ingest(step)
    except (PySparkException, Py4JJavaError) as problem:
        unreadable = _unreadable(problem)
        if unreadable is None:
            raise
        raise InputMissing(unreadable) from problem


def _ingest(step: Step) -> Outcome:
    days = list(step.days)
    yielded = {
        log: found
        for log in LOGS
        if (found := select_log(step.spark, step.source, log, days)) is not None
    }
    ids = _count_ids(yielded, days)
    checked: dict[str, DataFrame] = {}
    accepted: _Counts = {}
    for log in LOGS:
        if log in yielded:
            checked[log] = _checked(step, log, yielded[log], ids)
        accepted |= _write_accepted(step, log, checked.get(log), days)
    refused = _write_refused(step, checked, yielded, ids.rows, accepted, days)
    digests = _digests(step, days, accepted)
    outcome: Outcome = {}
    for day in days:
        logs = {
            log: _account(ids.rows, accepted, refused, log, day)
            for log in LOGS
            if day in step.source.days(log)
        }
        outcome[day] = DayRecord(
            rows_in=sum(counts["in"] for counts in logs.values()),
            rows_out=sum(counts["accepted"] for counts in logs.values()),
            rows_quarantined=sum(counts["quarantined"] for counts in logs.values()),
            details={"logs": logs, "head_digest": digests.get(day, "0:0")},
        )
    return outcome


def _count_ids(yielded: dict[str, YieldedLog], days: Sequence[date]) -> _Ids:
    """Count rows and find ids that repeat, of all logs in one Spark job."""
    parts: list[DataFrame] = []
    for log, found in yielded.items():
        key = [F.lit(_LOG_NUMBER[log]).alias("log"), F.col("ds")]
        has_id = LOGS[log][0].name in found.rows.columns
        no_id = F.lit(None).cast("bigint")
        parts.append(found.rows.select(*key, (id_hash(log) if has_id else no_id).alias("id_hash")))
        if found.refused is not None:
            parts.append(found.refused.select(*key, no_id.alias("id_hash")))
    counted = count_ids(reduce(DataFrame.unionByName, parts)).toArrow()
    rows: _Counts = {}
    for row in counted.select(["log", "ds", "rows"]).to_pylist():
        log = list(LOGS)[row["log"]]
        if row["ds"] not in days:
            raise UsageError(
                f"{log}.sql yields {row['rows']} rows of ds {row['ds']}, a day that the "
                "files read do not stand for: take ds from the raw view"
            )
        rows[log, row["ds"]] = row["rows"]
    repeated = {
        log: pc.list_flatten(counted["repeated"].filter(pc.equal(counted["log"], _LOG_NUMBER[log])))
        for log in yielded
    }
    return _Ids(
        rows, {log: pa.table({"id_hash": found}) for log, found in repeated.items() if len(found)}
    )


def _checked(step: Step, log: str, yielded: YieldedLog, ids: _Ids) -> DataFrame:
    try:
        limit = step.config.ingest.max_string_bytes
        checked = with_checks(yielded.rows, log, max_string_bytes=limit)
    except AnalysisException as problem:
        raise UsageError(
            f"source {step.source.name}: {log}.sql yields a type that cannot become the canonical "
            f"one ({problem.getMessage()}); check-source says which and what to write"
        ) from None
    if log == "clicks":
        checked = with_impression_day(checked, _impressions_in_reach(step))
    repeated = ids.repeated.get(log)
    return with_duplicates_refused(
        checked, log, step.spark.createDataFrame(repeated) if repeated is not None else None
    )


def _impressions_in_reach(step: Step) -> DataFrame:
    """Accepted impressions of the step's days and of the day before each.

    A day before that is not in the table yet is read from its landing files, so that it does not
    matter which day is made first.
    """
    reach = sorted({day - timedelta(days=back) for day in step.days for back in (0, 1)})
    known = step.tables.days("impressions") | set(step.days)
    shown = step.tables.read("impressions", [day for day in reach if day in known])
    columns = ["impression_id", "ts", "user_id", "listing_id", "ds"]
    unknown = [day for day in reach if day not in known]
    yielded = select_log(step.spark, step.source, "impressions", unknown)
    if yielded is None:
        return shown.select(*columns)
    only = YieldedLog(yielded.rows, None)
    checked = _checked(step, "impressions", only, _count_ids({"impressions": only}, unknown))
    return shown.select(*columns).unionByName(checked.where(~F.col(REFUSED)).select(*columns))


def _write_accepted(
    step: Step, log: str, checked: DataFrame | None, days: Sequence[date]
) -> _Counts:
    if checked is None:
        if not step.tables.days(log) & set(days):
            return {}
        frame = step.spark.createDataFrame([], TABLES[log].struct)
    else:
        frame = checked.where(~F.col(REFUSED)).select(*TABLES[log].column_names)
        if not step.source.has_day_files(log):
            # One file holds many days: without this, each task would write each of them.
            frame = frame.repartition("ds")
    step.tables.write(log, frame, days)
    return {(log, day): rows for day, rows in step.tables.row_counts(log, days).items()}


def _write_refused(
    step: Step,
    checked: dict[str, DataFrame],
    yielded: dict[str, YieldedLog],
    rows: _Counts,
    accepted: _Counts,
    days: Sequence[date],
) -> list[dict]:
    """Write the quarantine; log, ds and reasons of its rows."""
    short = {log for (log, day), n in rows.items() if n != accepted.get((log, day), 0)}
    if not short and not step.tables.days("quarantine") & set(days):
        return []
    parts = [step.spark.createDataFrame([], TABLES["quarantine"].struct)]
    for log in sorted(short):
        refused = (
            checked[log]
            .where(REFUSED)
            .select("ds", raw_json().alias("raw"), F.col(REASONS).alias("reasons"))
        )
        lines = yielded[log].refused
        if lines is not None:
            refused = refused.unionByName(lines)
        parts.append(
            refused.withColumns({"log": F.lit(log), "run_id": F.lit(step.run_id)}).select(
                *TABLES["quarantine"].column_names
            )
        )
    step.tables.write("quarantine", reduce(DataFrame.unionByName, parts), days)
    return step.tables.read_arrow("quarantine", days, columns=["log", "ds", "reasons"]).to_pylist()


def _account(rows: _Counts, accepted: _Counts, refused: list[dict], log: str, day: date) -> dict:
    """Counts of a log and day; they must add up."""
    reasons = [row["reasons"] for row in refused if row["log"] == log and row["ds"] == day]
    read, kept = rows.get((log, day), 0), accepted.get((log, day), 0)
    counts = {
        "in": read,
        "accepted": kept,
        "quarantined": len(reasons),
        "reasons": dict(sorted(Counter(reason for row in reasons for reason in row).items())),
    }
    if read != kept + len(reasons):
        raise RuntimeError(f"rows of {log} of {day} do not add up: {json.dumps(counts)}")
    return counts


def _digests(step: Step, days: Sequence[date], accepted: _Counts) -> dict[date, str]:
    if not any(accepted.get(("clicks", day)) for day in days):
        return {}
    clicks = step.tables.read("clicks", days)
    digests = head_digests(clicks, cutoff_hours=step.config.labels.cutoff_hours)
    return {row["ds"]: row["head_digest"] for row in digests.collect()}


def _unreadable(problem: Exception) -> str | None:
    """The message for a landing file that Spark could not read; None for any other problem."""
    text = str(problem)
    if "FAILED_READ_FILE" not in text and "CANNOT_READ_FILE" not in text:
        return None
    found = re.search(r"reading file:? (?:`|')?(\S+?)(?:`|')?\.?\s", text + " ")
    name = unquote(found[1].removeprefix("file://")) if found else "(Spark does not name it)"
    return f"landing file {name} cannot be read: it is damaged or cut short"


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr ingest_logs``."""
    return job_main("ingest_logs", argv)


if __name__ == "__main__":
    sys.exit(main())

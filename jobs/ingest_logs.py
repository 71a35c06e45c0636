"""Read the landing files of a source into `impressions`, `clicks`, `listings` and `quarantine`.

Grain: one row per id and day. Every row of the landing files is either accepted or in the
quarantine with all its reasons. Rows are typed and deduplicated, never repaired.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import reduce
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from jobs.commands.job import job_main
from jobs.landing.canonical_logs import select_log
from jobs.landing.judged_logs import JudgedLog, judge
from jobs.landing.typed_days import Aside, TypedDays, typed_days, write_good_rows
from jobs.setup.exits import InputMissing, leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.day_files import WRITTEN
from jobs.storage.task_writes import frame_files, write_frame
from pipelines.logs.labels import click_cutoff, clicks_of
from pipelines.logs.refusals import Refusals, count_refusals
from schemas.catalog import TABLES
from schemas.logs import LOGS

_Counts = dict[tuple[str, date], int]


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
    rows: _Counts = {}
    accepted: _Counts = {}
    judged: list[JudgedLog] = []
    aside = Aside.of(step)
    aside.clear()
    try:
        for log in LOGS:
            limit = step.config.ingest.max_typed_day_bytes
            typed = typed_days(step.source, log, days, max_bytes=limit)
            parts = _write_log(step, log, typed, aside)
            judged += parts
            rows |= {(log, day): n for part in parts for day, n in part.rows.items()}
            rows |= {(log, day): sum(file.rows for file in files) for day, files in typed.items()}
            stored = step.tables.row_counts(log, days)
            accepted |= {(log, day): n for day, n in stored.items()}
        refused = count_refusals(_write_refused(step, judged, rows, accepted))
    finally:
        aside.clear()
    outcome: Outcome = {}
    for day in days:
        logs = {
            log: _account(rows, accepted, refused, log, day)
            for log in LOGS
            if day in step.source.days(log)
        }
        outcome[day] = DayRecord(
            rows_in=sum(counts["in"] for counts in logs.values()),
            rows_out=sum(counts["accepted"] for counts in logs.values()),
            rows_quarantined=sum(counts["quarantined"] for counts in logs.values()),
            details={"logs": logs, "head_digest": _head_digest(step, day)},
        )
    return outcome


def _write_log(step: Step, log: str, typed: TypedDays, aside: Aside) -> list[JudgedLog]:
    """Replace the step's days of a log's table; what Spark had to judge for that."""
    written = [WRITTEN.empty_table()]
    if typed:
        written.append(write_good_rows(step, log, typed, aside))
    judged = list(_judge(step, log, typed, aside))
    for part in judged:
        frame = part.accepted
        if not step.source.has_day_files(log):
            # One file holds many days: without this, each task would write each of them.
            frame = frame.repartition("ds")
        written.append(frame_files(step.tables, log, frame))
    step.tables.commit(log, pa.concat_tables(written), step.days)
    return judged


def _judge(step: Step, log: str, typed: TypedDays, aside: Aside) -> Iterator[JudgedLog]:
    """Judge the days that are not typed, and what was set aside of those that are."""
    others = [day for day in step.days if day not in typed]
    yielded = select_log(step.spark, step.source, log, others) if others else None
    if yielded is not None:
        yield judge(step, log, yielded, others)
    doubtful = aside.days(log)
    if doubtful:
        yield judge(step, log, aside.read(step, log, doubtful), doubtful)


def _write_refused(
    step: Step, judged: Sequence[JudgedLog], rows: _Counts, accepted: _Counts
) -> Iterator[pa.RecordBatch]:
    """Write the quarantine; log, ds and reasons of its rows."""
    days = list(step.days)
    short = {log for (log, day), n in rows.items() if n != accepted.get((log, day), 0)}
    if not short and not step.tables.days("quarantine") & set(days):
        return iter(())
    parts = [part.refused(step.run_id) for part in judged if part.log in short]
    none = step.spark.createDataFrame([], TABLES["quarantine"].struct)
    write_frame(step.tables, "quarantine", reduce(DataFrame.unionByName, parts, none), days)
    written = step.tables.dataset("quarantine", days)
    return written.to_batches(columns=["log", "ds", "reasons"])


def _account(rows: _Counts, accepted: _Counts, refused: Refusals, log: str, day: date) -> dict:
    """Counts of a log and day; they must add up."""
    read, kept = rows.get((log, day), 0), accepted.get((log, day), 0)
    quarantined = refused.rows.get((log, day), 0)
    counts = {
        "in": read,
        "accepted": kept,
        "quarantined": quarantined,
        "reasons": dict(sorted(refused.reasons.get((log, day), {}).items())),
    }
    if read != kept + quarantined:
        raise RuntimeError(f"rows of {log} of {day} do not add up: {json.dumps(counts)}")
    return counts


def _head_digest(step: Step, day: date) -> str:
    """Digest of the day's clicks that can still count for the day before, in any order the same."""
    columns = ["click_id", "impression_id", "ts"]
    before = day - timedelta(days=1)
    clicks = step.tables.read_arrow("clicks", [day], columns=[*columns, "impression_ds"])
    clicks_before = clicks_of(clicks, before)
    cutoff = click_cutoff(before, step.config.labels.cutoff_hours)
    rows = (
        clicks_before.filter(pc.less(clicks_before["ts"].cast(pa.int64()), cutoff))
        .select(columns)
        .sort_by([(name, "ascending") for name in columns])
    )
    digest = hashlib.sha256(json.dumps(rows.to_pylist(), default=str).encode())
    return f"{len(rows)}:{digest.hexdigest()[:16]}"


def _unreadable(problem: Exception) -> str | None:
    """The message for a landing file that Spark could not read; None for any other problem."""
    text = str(problem)
    our_message = re.search(r"landing file .+ cannot be read: .+", text)
    if our_message:
        return our_message[0]
    if "FAILED_READ_FILE" not in text and "CANNOT_READ_FILE" not in text:
        return None
    named = re.search(r"reading file:? (?:`|')?(\S+?)(?:`|')?\.?\s", text + " ")
    name = unquote(named[1].removeprefix("file://")) if named else "(Spark does not name it)"
    return f"landing file {name} cannot be read: it is damaged or cut short"


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr ingest_logs``."""
    return job_main("ingest_logs", argv)


if __name__ == "__main__":
    leave(main())

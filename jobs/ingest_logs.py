"""Read the landing files of a source into `impressions`, `clicks`, `listings` and `quarantine`.

Grain: one row per id and day. Every row of the landing files is either accepted or in the
quarantine with all its reasons. Rows are typed and deduplicated, never repaired.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import reduce
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from jobs.commands.job import job_main
from jobs.landing.accounts import Counts, account, day_record
from jobs.landing.canonical_logs import failed_select, select_log
from jobs.landing.judged_logs import JudgedLog, judge
from jobs.landing.mends import Mend
from jobs.landing.stored_days import take_in
from jobs.landing.typed_days import Aside, typed_days, typed_rows, write_good_rows
from jobs.landing.typed_files import TypedRows
from jobs.landing.unchanged import unchanged
from jobs.landing.unread import nothing_landed, require_finished, unread
from jobs.planning.record import Record, table_versions
from jobs.setup.exits import InputMissing, UsageError, leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.day_files import WRITTEN
from jobs.storage.task_writes import frame_files, write_frame
from pipelines.logs.refusals import count_refusals
from schemas.catalog import TABLES
from schemas.logs import LOGS

_WRITTEN = (*LOGS, "quarantine")


def run(step: Step) -> Outcome:
    """Ingest all days of the step in one go.

    A day whose landing files are gone is judged again from its stored and its refused rows.

    Raises
    ------
    InputMissing
        If nothing has ever landed for a day, or a file cannot be read or changes meanwhile.
    """
    landed = set[date]().union(*(step.source.days(log) for log in LOGS))
    before = _recorded(step)
    gone = [day for day in step.days if day not in landed]
    for day in gone:
        if day not in before:
            raise InputMissing(nothing_landed(step.source, day))
    require_finished(step.source, step.days)
    here = [day for day in step.days if day in landed]
    try:
        with unchanged(step.source, here):
            outcome = _ingest(replace(step, days=here)) if here else {}
        # What was taken in later is part of what the day is made from.
        for day, mends in ((day, _mends(before.get(day))) for day in here):
            for mend in mends:
                take_in(step, {day: table_versions(step.tables, _WRITTEN)}, mend)
            if mends:
                outcome[day] = _again_accounted(step, day, outcome[day].details, before[day])
        if gone:
            take_in(step, {day: before[day].versions for day in gone}, Mend({}), with_accepted=True)
        for day in gone:
            outcome[day] = _again_accounted(step, day, before[day].details, before[day])
        return outcome
    except (PySparkException, Py4JJavaError) as problem:
        if unreadable := _unreadable(problem):
            raise InputMissing(unreadable) from problem
        if failed := failed_select(step.source, problem):
            raise UsageError(failed) from problem
        raise


def replay(step: Step, mend: Mend, told: Mapping[str, Any], begin: Callable[[], None]) -> Outcome:
    """Judge refused rows of finished days again; days of which no row comes in are left out.

    Parameters
    ----------
    told : mapping
        What is recorded of it: id, who, why, when.
    begin : callable
        Called before the first row is replaced.
    """
    before = _recorded(step)
    changed = take_in(step, {day: before[day].versions for day in step.days}, mend, begin)
    outcome: Outcome = {}
    for day in step.days:
        rows = {
            log: judged.rows_in[day] for log, judged in changed.items() if day in judged.rows_in
        }
        record = _again_accounted(step, day, before[day].details, before[day])
        if rows:
            selects = {log: mend.selects[log] for log in rows if log in mend.selects}
            entry = {**told, "log": mend.log, "reason": mend.reason, "selects": selects}
            replays = [*before[day].details.get("replays", ()), {**entry, "rows": rows}]
            record.details["replays"] = replays
        if changed:
            outcome[day] = record
    return outcome


def _recorded(step: Step) -> dict[date, Record]:
    """What is recorded of those of the step's days that were finished before."""
    keys = {day: ("ingest_logs", day) for day in step.days}
    return {day: step.records[key] for day, key in keys.items() if key in step.records}


def _mends(ingested: Record | None) -> list[Mend]:
    """What was mended of a day's rows with a SELECT, in that order."""
    replays = ingested.details.get("replays", ()) if ingested is not None else ()
    return [Mend(r["selects"], r["log"], r["reason"]) for r in replays if r["selects"]]


def _again_accounted(
    step: Step, day: date, counted: Mapping[str, Any], before: Record
) -> DayRecord:
    """The record of a day whose stored rows were judged again."""
    stored = step.tables.dataset("quarantine", [day]).to_batches(columns=["log", "ds", "reasons"])
    refused = count_refusals(stored)
    rows = {(log, day): counts["in"] for log, counts in counted["logs"].items()}
    accepted = {(log, day): step.tables.row_counts(log, [day]).get(day, 0) for log in LOGS}
    logs = {
        log: {**told, **account(rows, accepted, refused, log, day)}
        for log, told in counted["logs"].items()
    }
    record = day_record(step, day, logs)
    if "replays" in before.details:
        record.details["replays"] = before.details["replays"]
    return record


def _ingest(step: Step) -> Outcome:
    days = list(step.days)
    rows: Counts = {}
    accepted: Counts = {}
    judged: list[JudgedLog] = []
    aside = Aside.of(step.tables)
    aside.clear()
    try:
        for log in LOGS:
            limit = step.config.ingest.max_typed_day_bytes
            typed = typed_days(step.source, log, days, max_bytes=limit)
            units = typed_rows(step, log, typed, aside)
            parts = _write_log(step, log, units, aside)
            judged += parts
            # Of a typed day Spark has judged but the rows set aside: its files tell how many.
            rows |= {(log, day): n for part in parts for day, n in part.rows.items()}
            for day in {unit.rows.ds for unit in units}:
                rows[log, day] = sum(file.rows for file in typed[day])
            stored = step.tables.row_counts(log, days)
            accepted |= {(log, day): n for day, n in stored.items()}
        refused = count_refusals(_write_refused(step, judged, rows, accepted))
    finally:
        aside.clear()
    outcome: Outcome = {}
    for day in days:
        logs = {
            log: account(rows, accepted, refused, log, day) | unread(step.source, log, day)
            for log in LOGS
            if day in step.source.days(log)
        }
        outcome[day] = day_record(step, day, logs)
    return outcome


def _write_log(step: Step, log: str, typed: Sequence[TypedRows], aside: Aside) -> list[JudgedLog]:
    """Replace the step's days of a log's table; what Spark had to judge for that."""
    written = [WRITTEN.empty_table()]
    if typed:
        written.append(write_good_rows(step, log, typed))
    judged = list(_judge(step, log, {rows.rows.ds for rows in typed}, aside))
    for part in judged:
        frame = part.accepted
        if not step.source.has_day_files(log):
            # One file holds many days: without this, each task would write each of them.
            frame = frame.repartition("ds")
        written.append(frame_files(step.tables, log, frame))
    step.tables.commit(log, pa.concat_tables(written), step.days)
    return judged


def _judge(step: Step, log: str, typed: set[date], aside: Aside) -> Iterator[JudgedLog]:
    """Judge the days that are not typed, and what was set aside of those that are."""
    others = [day for day in step.days if day not in typed]
    yielded = select_log(step.spark, step.source, log, others) if others else None
    if yielded is not None:
        yield judge(step, log, yielded, others)
    doubtful = aside.days(log)
    if doubtful:
        yield judge(step, log, aside.read(step, log, doubtful), doubtful)


def _write_refused(
    step: Step, judged: Sequence[JudgedLog], rows: Counts, accepted: Counts
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

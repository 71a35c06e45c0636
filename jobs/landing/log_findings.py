"""What is to be said of one log of a source: of its columns, and of the rows of a day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import pyarrow as pa
from pyspark.sql import types as T

from jobs.landing.looking import LookedAt
from pipelines.logs import reasons as R
from pipelines.logs.certain import reason_bit
from pipelines.logs.validation import MISSING, fractional_ids
from pipelines.quality.duck import connect
from schemas.logs import ID_COLUMN, LOGS

Level = Literal["wrong", "look", "good"]
_WRONG_SHARE = 0.05
"""Refused more often than this, rows point to a mistake in the source, not to dirt in the logs."""
_HALF_DAY_AHEAD = 14
"""No time zone is farther from UTC, in hours."""


@dataclass(frozen=True)
class Finding:
    """One thing to say of a log, or of one of its columns."""

    log: str
    column: str
    level: Level
    text: str


def columns_of(log: str, have: Mapping[str, T.DataType]) -> list[Finding]:
    """What can be said before a row is read: names and types of what a SELECT yields."""
    fractional = fractional_ids(have, log)
    findings = []
    for column in LOGS[log]:
        if column.name in fractional:
            text = (
                f"is {have[column.name].simpleString()}: as text 1 becomes 1.0, which joins with "
            )
            text += f"nothing; write CAST(CAST({column.name} AS BIGINT) AS STRING)"
            findings.append(Finding(log, column.name, "wrong", text))
            continue
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


def rows_of(log: str, looked: LookedAt, day: date) -> list[Finding]:
    """What the rows of a day say."""
    columns = [column.name for column in LOGS[log]]
    measured = _measures(log, looked.rows, columns, day)
    read = measured["rows"] + sum(looked.lines.values())
    if not read:
        return [Finding(log, "", "wrong", f"no rows for {day}")]
    part = f", of one id in {looked.one_in}: the day is large" if looked.one_in > 1 else ""
    findings = [Finding(log, "", "good", f"{read:,} rows of {day}{part}")]
    if others := measured["of other days"]:
        text = (
            f"{others:,} rows are of other days by their ds, or of none: take it from the raw view"
        )
        findings.append(Finding(log, "ds", "wrong", text))
    counts: dict[str, int] = {r: measured[f"for {r}"] + looked.lines.get(r, 0) for r in R.REASONS}
    counts[R.DUPLICATE_ID] = measured["with id"] - measured["ids"]
    for reason, refused in counts.items():
        if refused > 0:
            level: Level = "wrong" if refused > _WRONG_SHARE * read else "look"
            text = f"{refused:,} rows ({refused / read:.2%}) refused, {reason}: {R.REASONS[reason]}"
            findings.append(Finding(log, "", level, text + _hint(log, reason, measured)))
    for column in LOGS[log]:
        nulls = measured[f"null {column.name}"]
        if column.name in looked.types and column.nullable and nulls:
            text = f"null in {nulls / max(measured['rows'], 1):.1%} of the rows"
            findings.append(Finding(log, column.name, "good", text))
    return findings


def _measures(log: str, judged: pa.Table, columns: Sequence[str], day: date) -> dict[str, Any]:
    """Counts over the rows, by name."""
    key = ID_COLUMN[log]
    wanted = {
        "rows": "count(*)",
        "of other days": f"count(*) FILTER (ds IS DISTINCT FROM DATE '{day}')",
        "ids": f"count(DISTINCT nullif({key}, ''))",
        "with id": f"count(*) FILTER ({key} <> '')",
        **{
            f"null {name}": f"count(*) FILTER (nulls & {1 << place} > 0)"
            for place, name in enumerate(columns)
        },
        **{f"for {r}": f"count(*) FILTER (reasons & {reason_bit(r)} > 0)" for r in R.REASONS},
    }
    if log == "impressions":
        known = "surface NOT IN ('search', 'promoted')"
        wanted["surfaces"] = f"list(DISTINCT surface[:40]) FILTER ({known})"
    if "ts" in columns:
        hour = "floor((epoch_us(ts) / 1e6 - epoch(ds)) / 3600)"
        wanted["first hour"], wanted["last hour"] = f"min({hour})", f"max({hour})"
    with connect() as connection:
        connection.register("judged", judged)
        sql = f"SELECT {', '.join(wanted.values())} FROM judged"  # noqa: S608
        row = connection.execute(sql).fetchone()
    return dict(zip(wanted, row or (), strict=True))


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

"""What is recorded of an ingested day: counts that add up, and the digest of its first clicks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.step import DayRecord, Step
from jobs.storage.contracts import arrow_schema
from pipelines.logs.labels import click_cutoff
from pipelines.logs.refusals import Refusals

Counts = dict[tuple[str, date], int]
"""Rows by log and day."""


def account(rows: Counts, accepted: Counts, refused: Refusals, log: str, day: date) -> dict:
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


def day_record(step: Step, day: date, logs: Mapping[str, Mapping[str, Any]]) -> DayRecord:
    """The record of a day of which each log has its `account`."""
    return DayRecord(
        rows_in=sum(counts["in"] for counts in logs.values()),
        rows_out=sum(counts["accepted"] for counts in logs.values()),
        rows_quarantined=sum(counts["quarantined"] for counts in logs.values()),
        details={"logs": dict(logs), "head_digest": _head_digest(step, day)},
    )


def _head_digest(step: Step, day: date) -> str:
    """Digest of the day's clicks that can still count for the day before, in any order the same."""
    columns = ["click_id", "impression_id", "ts"]
    before = day - timedelta(days=1)
    cutoff = click_cutoff(before, step.config.labels.cutoff_hours)
    in_time = pa.scalar(cutoff, pa.int64()).cast(arrow_schema("clicks").field("ts").type)
    clicks = step.tables.read_arrow(
        "clicks",
        [day],
        columns=[*columns, "impression_ds"],
        condition=(pc.field("impression_ds") == before) & (pc.field("ts") < in_time),
    )
    rows = clicks.select(columns).sort_by([(name, "ascending") for name in columns])
    digest = hashlib.sha256(json.dumps(rows.to_pylist(), default=str).encode())
    return f"{len(rows)}:{digest.hexdigest()[:16]}"

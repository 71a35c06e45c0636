"""How many rows were refused, and why: counts of the quarantine."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LogDay = tuple[str, date]


@dataclass(frozen=True)
class Refusals:
    """Counts by log and day.

    Attributes
    ----------
    rows : mapping of (log, day) to int
        Refused rows.
    reasons : mapping of (log, day) to mapping of str to int
        How often each reason was given; a row may have several.
    """

    rows: Counter[LogDay] = field(default_factory=Counter)
    reasons: dict[LogDay, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def count_refusals(refused: Iterable[pa.RecordBatch]) -> Refusals:
    """Count refused rows, one batch at a time.

    Parameters
    ----------
    refused : iterable of pyarrow.RecordBatch
        log, ds and reasons of `quarantine`.
    """
    counts = Refusals()
    for batch in refused:
        log_days = pa.table({"log": batch.column("log"), "ds": batch.column("ds")})
        for log, day, count in _counted(log_days):
            counts.rows[log, day] += count
        reasons = batch.column("reasons")
        of_reasons = log_days.take(pc.list_parent_indices(reasons))
        for log, day, reason, count in _counted(
            of_reasons.append_column("reason", pc.list_flatten(reasons))
        ):
            counts.reasons[log, day][reason] += count
    return counts


def _counted(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """The different rows, each with how often it is there."""
    names = rows.column_names
    counted = rows.group_by(names, use_threads=False).aggregate([([], "count_all")])
    columns = (counted[name].to_pylist() for name in (*names, "count_all"))
    return zip(*columns, strict=True)

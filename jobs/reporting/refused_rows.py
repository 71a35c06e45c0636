"""Refused rows by day, log and reason, with samples; read a batch at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

import pyarrow.compute as pc

from jobs.storage.tables import Tables
from pipelines.logs.reasons import REASONS


@dataclass(frozen=True)
class RefusedRows:
    """Rows of a log's day that were refused for a reason; one with two reasons is under both."""

    ds: date
    log: str
    reason: str
    rows: int
    samples: tuple[str, ...]

    @property
    def meaning(self) -> str:
        """The reason in words."""
        return REASONS.get(self.reason, "")

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self) | {"ds": str(self.ds), "meaning": self.meaning}


def read_refused(
    tables: Tables,
    first: date | None = None,
    last: date | None = None,
    *,
    log: str | None = None,
    reason: str | None = None,
    samples: int = 0,
) -> list[RefusedRows]:
    """Count refused rows.

    Parameters
    ----------
    first, last : date, optional
        Inclusive.
    samples : int
        Raw rows of each; the first ones as text, so that the same rows give the same samples.
    """
    days = [
        day for day in sorted(tables.days("quarantine"))
        if (first is None or day >= first) and (last is None or day <= last)
    ]  # fmt: skip
    if not days:
        return []
    condition = None if log is None else pc.field("log") == log
    counts: Counter[tuple[date, str, str]] = Counter()
    kept: dict[tuple[date, str, str], list[str]] = {}
    dataset = tables.dataset("quarantine", days)
    columns = ["ds", "log", "reasons", "raw"]
    for batch in dataset.to_batches(columns=columns, filter=condition):
        for row in batch.to_pylist():
            for told in row["reasons"]:
                if reason is None or told == reason:
                    key = (row["ds"], row["log"], told)
                    counts[key] += 1
                    kept[key] = sorted([*kept.get(key, []), row["raw"]])[: max(samples, 0)]
    order = {name: place for place, name in enumerate(REASONS)}
    keys = sorted(counts, key=lambda key: (key[0], key[1], order.get(key[2], -1)))
    return [RefusedRows(*key, rows=counts[key], samples=tuple(kept[key])) for key in keys]


def count_refused(tables: Tables, days: Sequence[date]) -> dict[date, int]:
    """Refused rows by day, from the table's log alone."""
    counts = tables.row_counts("quarantine", days)
    return {day: counts.get(day, 0) for day in days}

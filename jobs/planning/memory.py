"""What earlier checks measured, read once a run: each reading opens every file of four weeks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from jobs.storage.tables import Tables
from pipelines.quality.past import Past
from pipelines.quality.results import QualityResult


class Memory:
    """The past of checks, of all tables; what a run measures itself joins it.

    Parameters
    ----------
    history_days : int
        How long before a day its past begins.

    Attributes
    ----------
    days : set of date
        Days of which something was measured in this run.
    """

    def __init__(self, tables: Tables, history_days: int) -> None:
        self.tables = tables
        self.history_days = history_days
        self.days: set[date] = set()
        self._past = Past()
        self._added: list[QualityResult] = []
        self._first = date.max
        self._last = date.min

    def of(self, days: Sequence[date]) -> Past:
        """Give the past of some days, read now if it is not known yet."""
        first, last = min(days) - timedelta(days=self.history_days), max(days)
        if first < self._first or last > self._last:
            self._first, self._last = min(first, self._first), max(last, self._last)
            self._past = self._read()
            # What was measured a moment ago is not stored yet.
            for result in self._added:
                self._remember(result)
        return self._past

    def add(self, results: Iterable[QualityResult]) -> None:
        """Remember what was measured."""
        for result in results:
            self.days.add(result.ds)
            self._added.append(result)
            self._remember(result)

    def _remember(self, r: QualityResult) -> None:
        self._past.add((r.table, r.check, r.slice), r.ds, r.status, r.observed, r.state)

    def _read(self) -> Past:
        past = Past()
        if not self.tables.exists("quality_results"):
            return past
        # A table of an older version gets the columns that it lacks.
        self.tables.create(["quality_results"])
        stored = self.tables.delta("quality_results").to_pyarrow_table(
            filters=[("ds", ">=", self._first), ("ds", "<=", self._last)],
            columns=["ds", "table", "check", "slice", "status", "observed", "state", "checked_at"],
        )
        for row in stored.sort_by("checked_at").to_pylist():
            key = (row["table"], row["check"], row["slice"])
            past.add(key, row["ds"], row["status"], row["observed"], row["state"])
        return past

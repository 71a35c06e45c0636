"""Days that are planned, committed and recorded as ever, of the rows of an earlier day.

What a table's age costs is to be seen on hundreds of daily runs: of each, the work of its jobs and
the judging of its checks are left out, and what they wrote of a day that was really made is written
again, by the same calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.compute as pc

from jobs import JOBS, Job
from jobs.planning import runner as runner_module
from jobs.planning.reasons import MADE_FROM
from jobs.planning.record import now
from jobs.planning.runner import Runner
from jobs.setup.config import Config
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.reading import DONE, PUBLISH_JOB, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.results import QualityResult

_OF_ITS_TIME = ("landing", "replays", MADE_FROM)
"""Details of a record that are of its own files."""


@dataclass
class CopiedDays:
    """What a run has written of its day, to be written again of others.

    Attributes
    ----------
    tables : Tables
    of : date
        The day that it has published.
    """

    tables: Tables
    of: date

    def __post_init__(self) -> None:
        runs = read_runs(self.tables)
        (*_, run_id) = [r["run_id"] for r in runs if (r["job"], r["ds"]) == (PUBLISH_JOB, self.of)]
        made = [row for row in runs if row["run_id"] == run_id and row["status"] == DONE]
        self._records = {row["job"]: row for row in made}
        results = self.tables.read_arrow(
            "quality_results", condition=pc.field("run_id") == run_id
        ).to_pylist()
        self._results = {
            job: [row for row in results if told["started"] <= row["checked_at"] <= told["ended"]]
            for job, told in self._records.items()
        }
        self._rows = cache(lambda table, day: self.tables.read_arrow(table, [day]))

    def make(self, runner: Runner, day: date) -> None:
        """Publish a day."""

        def loaded(name: str) -> Any:
            job = JOBS[name.removeprefix("jobs.")]
            return SimpleNamespace(run=lambda step: self._run(job, step))

        def checked(
            tables: Tables, config: Config, run_id: str,
            groups: Iterable[tuple[Sequence[str], Sequence[date]]], memory: object,
        ) -> list[QualityResult]:  # fmt: skip
            made = runner.making
            assert made is not None
            self._check(tables, made.job, made.days[-1], run_id)
            return []

        shim = SimpleNamespace(import_module=loaded)
        with patch.multiple(runner_module, importlib=shim, check_tables=checked):
            runner.run([(PUBLISH_JOB, day)])

    def _run(self, job: Job, step: Step) -> Outcome:
        told = self._records[job.name]
        outcome = {}
        for day in step.days:
            for table in job.writes:
                rows = self._rows(table, told["ds"])
                if rows.num_rows:
                    at = rows.schema.get_field_index("ds")
                    days = pa.array([day] * len(rows), rows.schema.field(at).type)
                    step.tables.write_arrow(table, rows.set_column(at, "ds", days), [day])
            details = {k: v for k, v in told["details"].items() if k not in _OF_ITS_TIME}
            counts = {name: told[name] for name in ("rows_in", "rows_out", "rows_quarantined")}
            outcome[day] = DayRecord(**counts, published=told["published"], details=details)
        return outcome

    def _check(self, tables: Tables, job: Job, day: date, run_id: str) -> None:
        """The results of a step, in as many commits."""
        later: timedelta = day - self._records[job.name]["ds"]
        for moment in sorted({row["checked_at"] for row in self._results[job.name]}):
            rows = [
                {**row, "ds": row["ds"] + later, "run_id": run_id, "checked_at": now()}
                for row in self._results[job.name]
                if row["checked_at"] == moment
            ]
            tables.write_rows("quality_results", rows, None)

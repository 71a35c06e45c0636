"""What a run has measured itself counts before it is stored."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from jobs.planning.checks import record
from jobs.planning.memory import Memory
from jobs.storage.tables import Tables
from pipelines.quality.results import QualityResult

DAY = date(2026, 1, 4)
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def measured(rows: float) -> QualityResult:
    return QualityResult(
        "run", "impressions", "rows", "", "warn", "PASS", rows, "", None, None, None, NOW, DAY
    )


def test_a_table_of_more_days_that_is_checked_next_knows_it(tmp_path: Path) -> None:
    tables = Tables(str(tmp_path / "tables"))
    tables.create(["quality_results"])
    record(tables, [measured(1000.0)])
    memory = Memory(tables, 28)
    assert memory.of([DAY]).values["impressions", "rows", ""][DAY] == 1000.0
    memory.add([measured(995.0)])
    # The clicks of the day after are checked in the same step.
    past = memory.of([DAY, DAY + timedelta(days=1)])
    assert past.values["impressions", "rows", ""][DAY] == 995.0

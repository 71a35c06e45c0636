"""Records count in the order in which they were made, whatever the clock said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.planning import record
from jobs.storage.reading import read_runs
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

LAST = PUBLISHED[-1]
AHEAD = timedelta(days=400)


@pytest.fixture(autouse=True)
def right_clock() -> Iterator[None]:
    """Other warehouses of this process were made by a clock that is right."""
    yield
    record.no_earlier_than(datetime.min.replace(tzinfo=UTC))


def test_after_a_clock_that_was_far_ahead_later_records_count(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain.duplicate(tmp_path)
    other = replace(made, settings=(*made.settings, "ensemble.published='pair'"))
    right = record.now
    with monkeypatch.context() as patched:
        for module in ("record", "runner"):
            patched.setattr(f"jobs.planning.{module}.now", lambda: right() + AHEAD)
        assert other.make("publish_scores", LAST)
    assert max(row["ended"] for row in read_runs(made.tables)) > right() + AHEAD / 2
    # The clock is right again, and a day is made of other settings.
    steps = made.make("publish_scores", LAST)
    assert [step.job.name for step in steps][-1] == "publish_scores"
    assert made.make("publish_scores", LAST) == []
    rows = read_runs(made.tables)
    assert rows[-1]["fingerprint"] == made.records["publish_scores", LAST].fingerprint
    assert all(row["started"] <= row["ended"] for row in rows)
    current = made.tables.read_arrow("current_scores")["scores_version"][0].as_py()
    assert current == made.tables.version("listing_scores")

"""Who comes second to a table is told; no day is doubled, lost or recorded of other rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from jobs import sample_training
from jobs.planning.record import DONE, read_records
from jobs.setup.exits import ExitCode, LockHeld
from jobs.step import Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.tables import Tables
from tests.support.chain import Chain
from tests.support.races import KINDS, races
from tests.support.report_tables import row
from tests.support.world import day
from tests.unit.conftest import PUBLISHED

JOB = "sample_training"
TABLE = "sampling_rates"
DAY = PUBLISHED[-1]


def test_of_two_writers_of_a_day_one_wins_and_one_is_told(tmp_path: Path) -> None:
    seen = list(races([str(tmp_path / str(k)) for k in range(5 * len(KINDS))]))
    assert len(seen) == 5 * len(KINDS)
    assert [race for race in seen if not race.is_right] == []
    # They did meet.
    told = sum(ExitCode.LOCKED in race.codes for race in seen)
    assert told > len(seen) / 4


def meanwhile(then: Callable[[Step], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have something happen between the last commit of a step and its record."""
    real = sample_training.run

    def run(step: Step) -> Outcome:
        outcome = real(step)
        then(step)
        return outcome

    monkeypatch.setattr(sample_training, "run", run)


def by_another(write: Callable[[Tables], object]) -> Callable[[Step], None]:
    """The write of a process with tables of its own."""
    return lambda step: write(Tables(step.tables.root)) and None


def rewrite(tables: Tables) -> object:
    return tables.write_arrow(TABLE, tables.read_arrow(TABLE, [DAY]), [DAY])


def record(tables: Tables) -> object:
    of_runs = tables.read_arrow("runs").slice(0, 1).to_pylist()[0]
    return tables.write_rows("runs", [of_runs | {"run_id": "other", "job": "other"}], None)


@pytest.mark.parametrize("write", [rewrite, record])
def test_a_step_is_not_recorded_where_another_run_wrote_meanwhile(
    chain: Chain,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[Tables], object],
) -> None:
    copy = chain.duplicate(tmp_path)
    before = copy.tables.read_arrow(TABLE, [DAY])
    recorded = copy.tables.read_arrow("runs").num_rows
    with monkeypatch.context() as patched:
        meanwhile(by_another(write), patched)
        with pytest.raises(LockHeld, match="another run has written") as told:
            copy.runner.run([(JOB, DAY)], only=JOB, force=True)
    assert told.value.exit_code == ExitCode.LOCKED
    rows = copy.tables.read_arrow("runs").to_pylist()[recorded:]
    ours = [row for row in copy.tables.read_arrow("runs").to_pylist() if row["job"] == JOB]
    assert not [row for row in rows if row["job"] == JOB and row["status"] == DONE]
    assert [row["exit_code"] for row in ours if row["status"] == "failed"] == [ExitCode.LOCKED]
    # Nobody knows whose rows they are: they are made again.
    assert read_records(copy.tables)[JOB, DAY].fingerprint == ""
    copy.runner.run([(JOB, DAY)], only=JOB)
    assert copy.tables.read_arrow(TABLE, [DAY]).equals(before)


def test_a_step_does_not_begin_by_a_plan_that_is_overtaken(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = chain.duplicate(tmp_path)
    runner = copy.runner
    version = copy.tables.version(TABLE)
    planned = runner.progress.planned
    monkeypatch.setattr(
        runner.progress, "planned", lambda due: (planned(due), record(Tables(str(copy.root))))
    )
    with pytest.raises(LockHeld):
        runner.run([(JOB, DAY)], only=JOB, force=True)
    assert copy.tables.version(TABLE) == version


def test_a_table_that_was_looked_at_is_read_as_it_was_with_what_is_written_here(
    tmp_path: Path,
) -> None:
    tables, others = Tables(str(tmp_path)), Tables(str(tmp_path))
    first, second, third = (day(k) for k in (1, 2, 3))

    def write(to: Tables, of: date) -> None:
        """As tasks do."""
        rows = pa.Table.from_pylist([row("listings", ds=of)], arrow_schema("listings"))
        written = to.file_writer("listings")(iter(rows.to_batches()))
        to.commit("listings", pa.Table.from_batches(list(written)), [of])

    tables.create(["listings"])
    tables.look(["listings"])
    for of in (first, second):
        write(tables, of)
        assert of in tables.days("listings")
    write(others, third)
    assert tables.days("listings") == {first, second}
    assert tables.read_arrow("listings").num_rows == 2
    with pytest.raises(LockHeld):
        tables.refuse_changed(["listings"])
    with pytest.raises(LockHeld):
        write(tables, first)
    tables.look(["listings"])
    assert tables.days("listings") == {first, second, third}
    write(tables, first)
    tables.look_away()
    write(others, day(4))
    assert day(4) in tables.days("listings")

"""What counts as made: what finished and passed its quality check, the newest of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from jobs import JOBS
from jobs.planning import runner as runner_module
from jobs.planning.planner import PlannedStep
from jobs.planning.record import read_records
from jobs.planning.runner import Runner
from jobs.setup.config_layers import load_config
from jobs.setup.exits import InputMissing, QualityStop
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.tables import Tables
from tests.support.chain import Silent
from tests.support.report_tables import row

DAYS = [date(2026, 1, 5) + timedelta(days=n) for n in range(4)]
DAY = DAYS[-1]
JOB, TABLE = "predict_traffic", "predictions"
GOOD, BAD = 0.25, 2.0  # a probability, and none: a check of predictions that blocks
OTHER = "scoring.reference.position=2"  # a setting that predictions are made from

Run = Callable[[Step], Outcome]


class Landed:
    """A source in which every log has landed for every day, but for those that are given."""

    left_out: frozenset[date] = frozenset()

    def __init__(self, **days: list[date]) -> None:
        self._days = days

    def days(self, log: str) -> list[date]:
        """All days, or those given."""
        return self._days.get(log, DAYS)

    def files(self, log: str, day: date) -> list[tuple[str, int, int]]:
        """One file."""
        return [(f"{log}-{day}", 100, 1)]


def prediction(day: date, p_baseline: float) -> dict[str, object]:
    """A row of predictions."""
    blank: dict[pa.DataType, object] = {
        pa.string(): "x", pa.int64(): 0, pa.int32(): 1, pa.float64(): 0.0, pa.bool_(): False,
        pa.date32(): day,
    }  # fmt: skip
    zeros = {field.name: blank[field.type] for field in arrow_schema(TABLE)}
    return zeros | {"p_baseline": p_baseline}


def writing(p_baseline: float, problem: BaseException | None = None) -> Run:
    """What a job does: write its days, and finish or fail."""

    def run(step: Step) -> Outcome:
        rows = [prediction(day, p_baseline) for day in step.days]
        step.tables.write_rows(TABLE, rows, step.days)
        if problem is not None:
            raise problem
        return {day: DayRecord() for day in step.days}

    return run


class Flow:
    """A warehouse in which jobs do what a test says."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.tables = Tables(str(folder / "warehouse"))
        self._patch = patch

    def make(
        self,
        run: Run,
        *settings: str,
        job: str = JOB,
        days: Sequence[date] = (DAY,),
        force: bool = False,
    ) -> list[date]:
        """Have a job's days made, and nothing else; give the days that it was asked to make."""
        asked: list[date] = []

        def noted(step: Step) -> Outcome:
            asked.extend(step.days)
            return run(step)

        self._patch.setitem(sys.modules, f"jobs.{job}", SimpleNamespace(run=noted))
        runner = self.runner(Landed(), *settings)
        runner.run([(job, day) for day in days], only=job, force=force)
        return asked

    def make_all(self, run: Run, job: str, *, target: tuple[str, date]) -> None:
        """Have a target made with all that it reads; `job` does what a test says."""
        self._patch.setitem(sys.modules, f"jobs.{job}", SimpleNamespace(run=run))
        self.runner(Landed()).run([target])

    def runner(self, landed: Landed, *settings: str) -> Runner:
        """A runner over what has landed."""
        source: Any = landed
        self.tables.create(["runs"])
        return Runner(
            load_config(settings=settings, environment={}), source, self.tables, "r", Silent()
        )

    def recorded(self) -> list[tuple[date, str, int]]:
        """Day, status and exit code of every attempt, oldest first."""
        rows = self.tables.read_arrow("runs").sort_by([("ended", "ascending")]).to_pylist()
        return [(one["ds"], one["status"], one["exit_code"]) for one in rows]

    def probabilities(self) -> list[float]:
        """What stands in the table."""
        return self.tables.read_arrow(TABLE)["p_baseline"].to_pylist()


@pytest.fixture
def flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flow:
    return Flow(tmp_path, monkeypatch)


def test_a_day_that_its_quality_check_refuses_is_refused_again_and_never_done(flow: Flow) -> None:
    for attempts in (1, 2):
        with pytest.raises(QualityStop, match=r"predictions\.not_a_number") as stopped:
            flow.make(writing(BAD))
        assert stopped.value.exit_code == 10
        assert flow.recorded() == [(DAY, "refused", 10)] * attempts
    assert flow.make(writing(GOOD)) == [DAY]
    assert flow.recorded()[2:] == [(DAY, "done", 0)]
    assert flow.make(writing(GOOD)) == []


def test_days_that_pass_the_check_of_a_range_are_done_and_not_marked_with_anothers_reason(
    flow: Flow,
) -> None:
    days, bad = DAYS[1:], DAYS[2]

    def write(step: Step) -> Outcome:
        rows = [prediction(day, BAD if day == bad else GOOD) for day in step.days]
        step.tables.write_rows(TABLE, rows, step.days)
        return {day: DayRecord() for day in step.days}

    with pytest.raises(QualityStop, match=f"not_a_number.* of {bad}"):
        flow.make(write, days=days)
    done = {(day, "done", 0) for day in days if day != bad}
    assert set(flow.recorded()) == {(bad, "refused", 10), *done}
    told = [row for row in flow.tables.read_arrow("runs").to_pylist() if "error" in row["details"]]
    assert [row["ds"] for row in told] == [bad]
    assert flow.make(writing(GOOD), days=days) == [bad]


def test_a_day_that_a_gate_refuses_is_refused_again_beside_one_that_passed(flow: Flow) -> None:
    passed, refused = DAYS[-2:]

    def gates(step: Step) -> Outcome:
        good = {day: DayRecord(published=True) for day in step.days if day != refused}
        raise QualityStop("not published", {refused: {"gates": []}}, good)

    with pytest.raises(QualityStop):
        flow.make(gates, job="publish_scores", days=[passed, refused])
    assert sorted(flow.recorded()) == [(passed, "done", 0), (refused, "refused", 10)]
    with pytest.raises(QualityStop):
        flow.make(gates, job="publish_scores", days=[passed, refused])
    assert sorted(flow.recorded())[1:] == [(refused, "refused", 10)] * 2
    published = flow.tables.read_arrow("runs").filter(pa.compute.field("published"))
    assert published["ds"].to_pylist() == [passed]
    # Without it no dry run could say why the day is due.
    assert "made_from" in json.loads(published["details"][0].as_py())


def test_the_record_is_written_after_the_rows_and_their_quality_check(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = Tables.write_rows

    def noted(self: Tables, name: str, *more: Any) -> int:
        written.append(name)
        return write(self, name, *more)

    monkeypatch.setattr(Tables, "write_rows", noted)
    flow.make(writing(GOOD))
    assert written == [TABLE, "quality_results", "runs"]


@pytest.mark.parametrize(
    ("problem", "code"), [(RuntimeError("disk full"), 1), (InputMissing("not there"), 20)]
)
def test_a_day_that_failed_is_made_again(flow: Flow, problem: Exception, code: int) -> None:
    for _ in range(2):
        with pytest.raises(type(problem)):
            flow.make(writing(GOOD, problem))
    assert flow.recorded() == [(DAY, "failed", code)] * 2
    assert flow.make(writing(GOOD)) == [DAY]
    assert flow.make(writing(GOOD)) == []


def test_a_day_that_was_interrupted_is_made_again(flow: Flow) -> None:
    with pytest.raises(KeyboardInterrupt):
        flow.make(writing(GOOD, KeyboardInterrupt()))
    assert flow.recorded() == []
    assert flow.make(writing(GOOD)) == [DAY]


def test_of_two_finished_attempts_the_newer_says_what_stands(flow: Flow) -> None:
    assert flow.make(writing(0.1)) == [DAY]
    assert flow.make(writing(0.2), OTHER) == [DAY]
    assert flow.make(writing(0.2), OTHER) == []
    assert flow.make(writing(0.1)) == [DAY]
    assert flow.probabilities() == [0.1]


@pytest.mark.parametrize("newer_first", [False, True])
def test_the_newer_of_two_finished_records_wins_in_any_order_of_rows(
    tmp_path: Path, newer_first: bool
) -> None:
    tables = Tables(str(tmp_path))
    ended: datetime = row("runs")["ended"]
    rows = [
        row("runs", fingerprint="old", ended=ended),
        row("runs", fingerprint="new", ended=ended + timedelta(microseconds=1)),
    ]
    for one in reversed(rows) if newer_first else rows:
        tables.write_rows("runs", [one], None)
    (record,) = read_records(tables).values()
    assert record.fingerprint == "new"


@pytest.mark.parametrize(
    ("attempt", "ended"),
    [(writing(BAD), QualityStop), (writing(0.3, RuntimeError("disk full")), RuntimeError)],
)
def test_rows_that_an_unfinished_attempt_left_are_not_taken_for_those_finished_before(
    flow: Flow, attempt: Run, ended: type[Exception]
) -> None:
    flow.make(writing(0.1))
    with pytest.raises(ended):
        flow.make(attempt, OTHER)
    assert flow.make(writing(0.1)) == [DAY]
    assert flow.probabilities() == [0.1]
    assert flow.make(writing(0.1)) == []


def finishing(step: Step) -> Outcome:
    """What a job does that writes no table."""
    return {day: DayRecord() for day in step.days}


def refusing(step: Step) -> Outcome:
    """What such a job does with a day that it refuses."""
    raise QualityStop("not published")


@pytest.mark.parametrize(
    ("job", "good", "bad"),
    [(JOB, writing(GOOD), writing(BAD)), ("publish_scores", finishing, refusing)],
)
def test_a_day_that_is_refused_when_it_is_forced_stays_refused(
    flow: Flow, job: str, good: Run, bad: Run
) -> None:
    flow.make(good, job=job)
    for force in (True, False):
        with pytest.raises(QualityStop):
            flow.make(bad, job=job, force=force)


def test_days_that_are_forced_are_made_again_once(flow: Flow) -> None:
    flow.make(writing(0.1), days=DAYS[-2:])
    assert flow.make(writing(0.2), days=DAYS[-2:], force=True) == DAYS[-2:]
    assert flow.probabilities() == [0.2, 0.2]


def test_a_record_names_the_versions_read_and_those_written(flow: Flow) -> None:
    listing = row("listings", ds=DAY)
    for _ in range(2):
        flow.tables.write_rows("listings", [listing], [DAY])
    flow.make(writing(GOOD))
    (record,) = flow.tables.read_arrow("runs").to_pylist()
    assert json.loads(record["versions_in"]) == {"listings": flow.tables.version("listings")}
    written = {name: flow.tables.version(name) for name in (TABLE, "listing_logits")}
    assert json.loads(record["versions_out"]) == written


@pytest.mark.parametrize("settings", [(), (OTHER,)])
def test_an_attempt_that_fails_before_it_writes_leaves_what_was_finished(
    flow: Flow, settings: tuple[str, ...]
) -> None:
    def failing(step: Step) -> Outcome:
        raise InputMissing("not there")

    flow.make(writing(GOOD))
    with pytest.raises(InputMissing):
        flow.make(failing, *settings, force=True)
    assert flow.make(writing(GOOD)) == []


def test_a_stop_of_a_day_that_is_only_read_says_how_later_days_go_on(flow: Flow) -> None:
    def refused(step: Step) -> Outcome:
        raise QualityStop(f"stopped by quality: rows of {DAYS[0]}: 0")

    with pytest.raises(QualityStop, match=f"promoted-ctr leave-out --date {DAYS[0]} --reason"):
        flow.make_all(refused, "ingest_logs", target=("build_history", DAYS[-1]))


def test_tables_are_checked_in_the_order_of_the_flow_and_refused_rows_once_impressions_are_there(
    flow: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[tuple[list[str], tuple[date, ...]]] = []

    def noted(*given: Any) -> None:
        checked.extend(given[3])

    monkeypatch.setattr(runner_module, "check_tables", noted)
    day, morning_after = DAYS[:2]
    runner = flow.runner(Landed(impressions=[day], listings=[day]))
    runner.check_quality(PlannedStep(JOBS["ingest_logs"], (day, morning_after), {}), {})
    assert checked == [
        (["impressions"], (day,)),
        (["clicks"], (day, morning_after)),
        (["listings", "quarantine"], (day,)),
    ]

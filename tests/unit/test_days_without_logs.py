"""Days that cannot be made: before the logs begin there is nothing to do, later ones may come."""

from datetime import timedelta

import pytest

from jobs.setup.exits import ExitCode
from tests.support.ingesting import DAY, land, row
from tests.support.rows import arrow_rows
from tests.support.world import LOGS, Warehouse

DAYS_LANDED = (DAY, DAY + timedelta(days=2))
BEFORE = DAY - timedelta(days=1)
GAP = DAY + timedelta(days=1)
AFTER = DAY + timedelta(days=3)


@pytest.fixture
def warehouse(tmp_path):
    """Logs of two days with a gap between them; no table yet."""
    made = Warehouse(tmp_path / "root", tmp_path / "landing")
    for day in DAYS_LANDED:
        for log in LOGS:
            land(made.landing, log, [row(log)], day)
    return made


@pytest.mark.parametrize("command", ["run", "run --dry-run", "run --force", "train_models"])
def test_a_day_before_the_logs_begin_has_nothing_to_do(warehouse, command):
    called = warehouse.call(*command.split(), "--date", str(BEFORE))
    assert called.code == ExitCode.NOTHING
    assert called.err == f"promoted-ctr: nothing to do for {BEFORE}: the logs begin on {DAY}\n"
    assert not list(warehouse.root.rglob("*.parquet"))


@pytest.mark.parametrize("day", [GAP, AFTER], ids=["a gap", "after the newest"])
def test_a_day_whose_logs_may_come_lacks_input(warehouse, day):
    called = warehouse.call("run", "--date", str(day))
    assert called.code == ExitCode.INPUT
    assert f"cannot make {day}: no impressions have landed for {day}" in called.err


def test_a_range_has_nothing_to_do_only_if_none_of_its_days_has(warehouse):
    before = BEFORE - timedelta(days=3)
    called = warehouse.call("backfill", "--start", str(before), "--end", str(BEFORE))
    assert called.code == ExitCode.NOTHING
    assert str(DAY) in called.err
    called = warehouse.call("backfill", "--start", str(BEFORE), "--end", str(DAY))
    assert (called.code, f"cannot make {BEFORE}" in called.err) == (ExitCode.INPUT, True)


def test_the_logs_begin_where_a_table_holds_them_though_the_files_are_removed(warehouse):
    kept = BEFORE - timedelta(days=1)
    warehouse.tables.write_arrow("listings", arrow_rows("listings", [{"ds": kept}]), [kept])
    assert warehouse.call("run", "--date", str(BEFORE)).code == ExitCode.INPUT
    called = warehouse.call("run", "--date", str(kept - timedelta(days=1)))
    assert (called.code, str(kept) in called.err) == (ExitCode.NOTHING, True)


def test_where_nothing_has_landed_any_day_lacks_input(tmp_path):
    warehouse = Warehouse(tmp_path / "root", tmp_path / "landing")
    warehouse.landing.mkdir()
    assert warehouse.call("run", "--date", str(DAY)).code == ExitCode.INPUT

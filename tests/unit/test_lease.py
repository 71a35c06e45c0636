"""One run writes to a warehouse in an object store at a time, whatever happens to runs."""

from __future__ import annotations

import threading
import time

import pytest

from jobs.__main__ import main
from jobs.reporting import alert_log
from jobs.setup.exits import ExitCode, LockHeld
from jobs.storage import lease
from jobs.storage.lease import Lease
from jobs.storage.lock import WriterLock
from jobs.storage.reading import read_runs
from jobs.storage.tables import Tables
from tests.support.object_store import ObjectStore
from tests.support.rows import DAY, row

TABLE = "entity_priors"


@pytest.fixture
def root(reached: ObjectStore) -> str:
    return f"{reached.bucket()}/warehouse"


def test_a_second_run_is_refused_and_told_who_writes(root: str) -> None:
    with (
        WriterLock(root, "first"),
        pytest.raises(LockHeld, match=r"run first, .* on .*heard of \d s ago") as told,
        WriterLock(root, "second"),
    ):
        pass
    assert told.value.exit_code == ExitCode.LOCKED
    with WriterLock(root, "second"):
        pass


def test_the_lease_of_a_killed_run_is_taken_over_once_nobody_renews_it(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "EXPIRES_S", 0.0)
    monkeypatch.setattr(lease, "WATCH_S", 0.3)
    monkeypatch.setattr(lease, "HEARTBEAT_S", 60.0)
    Lease(root, "killed").take()
    with WriterLock(root, "next"):
        pass


def test_a_lease_that_is_renewed_is_not_taken_over_by_whoever_has_a_wrong_clock(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "EXPIRES_S", 0.0)
    monkeypatch.setattr(lease, "WATCH_S", 0.5)
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.1)
    with WriterLock(root, "first"), pytest.raises(LockHeld), WriterLock(root, "second"):
        pass


def test_of_two_that_begin_at_once_one_writes(root: str) -> None:
    first, second = Lease(root, "first"), Lease(root, "second")
    seen = second._current()
    first.take()
    second._current = lambda: seen  # type: ignore[method-assign]
    with pytest.raises(LockHeld):
        second.take()
    first.give_back()


def test_a_run_whose_lease_was_taken_ends_before_its_next_commit(
    root: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    reached: ObjectStore,
) -> None:
    monkeypatch.setattr(lease, "_FRESH_S", 0.0)
    tables = Tables(root)
    tables.create([TABLE, "runs"])
    lock = WriterLock(root, "lost")
    tables.before_commit = lock.confirm
    rows = [row(TABLE, ds=DAY)]
    called = [f"--set={setting}" for setting in reached.settings]
    with lock:
        tables.write_rows(TABLE, rows, [DAY])
        before = tables.version(TABLE)
        assert main(["unlock", "--root", root, *called]) == ExitCode.DONE
        assert "run lost" in capsys.readouterr().out.replace("\n", " ")
        tables.write_rows(TABLE, rows, [DAY])
        assert main(["unlock", "--root", root, "--reason", "gone", *called]) == ExitCode.DONE
        with pytest.raises(LockHeld, match="no longer holds the lease"):
            tables.write_rows(TABLE, rows, [DAY])
    assert tables.version(TABLE) == before + 1
    (decision,) = read_runs(tables)
    assert decision["job"] == "unlock"
    assert decision["details"]["reason"] == "gone"
    assert "run lost" in decision["details"]["taken_from"]
    # What was lost is not given back in the name of the next.
    with WriterLock(root, "next") as following:
        lock.__exit__(None, None, None)
        following.confirm()


def test_a_run_that_cannot_renew_stops_in_time(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_FRESH_S", 0.0)
    held = Lease(root, "cut off")
    held.take()

    def cut_off(*given: object) -> str:
        raise OSError("error sending request")

    monkeypatch.setattr(lease, "_put", cut_off)
    held.confirm()
    held._renewed = time.monotonic() - lease.EXPIRES_S
    with pytest.raises(LockHeld, match="endpoint does not answer"):
        held.confirm()


def test_two_processes_tell_alerts_one_after_the_other(root: str) -> None:
    inside: list[str] = []
    seen: list[list[str]] = []

    def tell(name: str) -> None:
        with alert_log.alerts_lock(root):
            inside.append(name)
            time.sleep(0.3)
            seen.append(list(inside))
            inside.remove(name)

    both = [threading.Thread(target=tell, args=(name,)) for name in ("one", "other")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(seen) == [["one"], ["other"]]


def test_telling_goes_on_beside_a_run_and_does_not_wait_for_ever(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_log, "WAITS_S", 0.5)
    with (
        WriterLock(root, "a run"),
        alert_log.alerts_lock(root),
        pytest.raises(LockHeld),
        alert_log.alerts_lock(root),
    ):
        pass

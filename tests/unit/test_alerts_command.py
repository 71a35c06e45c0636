"""`promoted-ctr alerts`: what a person and a scheduler do, and what comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from jobs.reporting.alert_log import read_alerts
from jobs.storage.tables import Tables
from tests.support.report_tables import DS, row, write_runs
from tests.support.world import call

NEXT = DS + timedelta(days=1)


class Office:
    """A warehouse with one route into a file, and the command on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables = Tables(str(folder / "warehouse"))
        self.file = folder / "told.txt"

    def __call__(self, *words: str, code: int = 0) -> str:
        route = f'alerts.routes=[{{to="file://{self.file}"}}]'
        called = call(["alerts", *words, "--root", self.tables.root, "--set", route])
        assert called.code == code, called
        return called.out + called.err

    def raised(self, key: str = "ctr_daily", day: date = DS, severity: str = "page") -> str:
        return self("raise", "--key", key, "--severity", severity, "--date", str(day),
                    "--what", "task killed")  # fmt: skip

    @property
    def told(self) -> str:
        return self.file.read_text() if self.file.exists() else ""

    @property
    def alert_id(self) -> str:
        (alert,) = read_alerts(self.tables).alerts.values()
        return alert.alert_id


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_a_scheduler_raises_and_resolves(office: Office) -> None:
    assert "no alert is open" in office()
    office.raised()
    assert "task killed" in office()
    office.raised()
    assert office.told.count("PAGE promoted-ctr 2025-03-14: ctr_daily") == 1
    office("resolve", "--key", "ctr_daily", "--date", str(DS))
    assert "no alert is open" in office()
    assert office.told.count("RESOLVED") == 1


def test_options_may_stand_before_the_action(office: Office) -> None:
    office.raised()
    called = call(["alerts", "--root", office.tables.root, "list", "--format", "json"])
    (told,) = json.loads(called.out)
    assert (told["key"], told["state"], told["severity"]) == ("ctr_daily", "open", "page")
    assert told["problems"]["ctr_daily"]["what"] == "task killed"


def test_what_a_scheduler_sees_of_an_alert_that_is_open_is_not_told_twice(office: Office) -> None:
    office("late", "--date", str(DS))
    said = office.raised()
    assert "already told by alert" in said
    assert office.told.count("PAGE") == 1
    # Of another day it is news.
    office.raised(day=NEXT)
    assert office.told.count("PAGE") == 2


def test_a_day_that_is_not_published_is_late_until_it_is(office: Office) -> None:
    write_runs(office.tables, stop_at="train_models")
    said = office("late", "--date", str(DS))
    assert "train_models" in said
    assert office.told.count("PAGE promoted-ctr 2025-03-14: publication is late") == 1
    office("late", "--date", str(DS))
    assert office.told.count("PAGE") == 1
    office.tables.write_rows("runs", [row("runs", job="publish_scores", published=True)], None)
    assert "is published" in office("late", "--date", str(DS))
    assert office.told.count("RESOLVED") == 1


def test_late_says_what_it_would_send_without_sending(office: Office) -> None:
    assert "would send: PAGE" in office("late", "--date", str(DS), "--dry-run")
    assert office.told == ""
    assert not office.tables.exists("alerts")


def test_muted_alerts_are_recorded_and_sent_when_the_mute_ends(office: Office) -> None:
    office("mute", "ctr_*", "--hours", "2", "--reason", "maintenance")
    office.raised()
    assert office.told == ""
    listed = office()
    assert "muted until" in listed
    assert "nobody" in listed
    office("unmute", "ctr_*")
    office.raised()
    assert office.told.count("PAGE") == 1


def test_acknowledged_alerts_say_so_and_by_whom(office: Office) -> None:
    office.raised()
    office("acknowledge", office.alert_id, "--reason", "on it")
    assert "acknowledged" in office()
    shown = office("show", office.alert_id)
    assert "on it" in shown
    office("resolve", "--key", "ctr_daily", "--date", str(DS))
    assert "there is nothing to be done" in office("acknowledge", "ctr_daily", code=2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "nothing"], 20, "there is no alert 'nothing'"),
        (["unmute", "x"], 2, "'x' is not muted"),
        (["mute", "x", "--reason", "r", "--until", "2020-01-01"], 2, "is over"),
        (["mute", "x", "--reason", "r"], 2, "--hours --until"),
        (["raise", "--key", "k", "--date", "2025-03-14"], 2, "--what"),
        (["history"], 20, "nothing was run yet"),
    ],
)
def test_wrong_calls_are_told_in_a_line(
    office: Office, words: list[str], code: int, said: str
) -> None:
    told = office(*words, code=code)
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_test_sends_on_every_route_and_fails_if_one_does_not_work(
    office: Office, tmp_path: Path
) -> None:
    assert "taken" in office("test")
    assert "TEST promoted-ctr" in office.told
    routes = 'alerts.routes=[{to="ENV:NOT_SET_ANYWHERE"}]'
    called = call(["alerts", "test", "--root", office.tables.root, "--set", routes])
    assert (called.code, "NOT_SET_ANYWHERE is not set" in called.out) == (1, True)
    called = call(["alerts", "test", "--root", office.tables.root])
    assert called.code == 2


def test_addresses_with_secrets_are_not_printed() -> None:
    secret = 'alerts.routes=[{to="slack://TOKENA/TOKENB/TOKENC"}]'
    called = call(["config", "--set", secret])
    assert "TOKENB" not in called.out
    assert "slack://***" in called.out


def test_a_scheduler_needs_no_jvm_and_no_kernels_for_it(office: Office) -> None:
    code = (
        "import sys; from jobs.__main__ import main\n"
        f"main(['alerts', '--root', {office.tables.root!r}])\n"
        "sys.exit(len({'apprise', 'great_expectations', 'numba'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

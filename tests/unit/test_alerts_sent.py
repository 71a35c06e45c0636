"""What reaches people: through a real webhook and a real mail server, and what is recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.reporting import alerting
from jobs.reporting.alert_listing import acknowledged, muting
from jobs.reporting.alert_log import newest_rows, read_alerts, write_events
from jobs.reporting.alerting import Teller
from jobs.setup.config_layers import load_config
from jobs.storage.tables import Tables
from pipelines.quality.alerts import Judgement, Problem
from tests.support.sinks import Mailbox, Webhook, mailbox, unused_port, webhook

DAY = date(2026, 2, 6)
NEXT = DAY + timedelta(days=1)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as made:
        yield made


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


class Desk:
    """Alerts of an empty warehouse, and what is said of them."""

    def __init__(self, root: Path, *routes: dict[str, Any], **settings: object) -> None:
        self.tables = Tables(str(root))
        given = [f"alerts.{key}={value}" for key, value in settings.items()]
        config = load_config(settings=given, environment={})
        with_routes = config.model_dump()
        with_routes["alerts"]["routes"] = list(routes)
        self.config = type(config).model_validate(with_routes)
        self.said: list[str] = []

    def tell(self, *judgements: Judgement, dry_run: bool = False) -> list[str]:
        """Events that came of judgements."""
        teller = Teller(self.tables, self.config, self.said.append, dry_run=dry_run)
        return [change.event for change in teller.tell(judgements)]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What is recorded."""
        return list(read_alerts(self.tables).rows)


def problem(name: str = "listings.rows", **changes: Any) -> Problem:
    values = {
        "cause": "listings", "judge": "checks of listings", "first_day": DAY, "ds": DAY,
        "severity": "page", "what": f"{name}: 0, expected >= 1", "why": "nothing can be scored",
        "table": "listings", "stops": True, "fix": "look at the landing files",
    }  # fmt: skip
    return Problem(name=name, **(values | changes))


def wrong(*problems: Problem, ds: date = DAY) -> Judgement:
    return Judgement("checks of listings", ds, problems)


def right(ds: date = DAY) -> Judgement:
    return Judgement("checks of listings", ds)


def test_a_webhook_is_told_when_it_opens_and_when_it_is_over(hook: Webhook, tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"to": hook.url})
    assert desk.tell(wrong(problem())) == ["opened"]
    assert desk.tell(wrong(problem())) == []
    assert desk.tell(right(NEXT)) == ["resolved"]
    assert [(p["type"], p["title"].split()[0]) for p in hook.posts] == [
        ("failure", "PAGE"), ("success", "RESOLVED")
    ]  # fmt: skip
    assert [row["event"] for row in desk.rows] == ["opened", "resolved"]


def test_a_mail_says_in_ten_lines_what_to_do(box: Mailbox, tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"to": box.url})
    desk.tell(wrong(*(problem(f"listings.c{n}") for n in range(7))))
    (mail,) = box.mails
    assert mail["subject"].startswith("PAGE promoted-ctr 2026-02-06: listings (+6)")
    text = mail.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) <= 10
    for word in ("Wrong:", "Since:", "Touches:", "Next:", "Look:", "acknowledge"):
        assert word in text, text


def test_what_comes_from_data_can_do_nothing_in_a_mail(box: Mailbox, tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"to": box.url})
    evil = "slice <img src=x onerror=alert(1)>\r\nBcc: all@example.org\x1b[2J\u202e"
    desk.tell(wrong(problem(what=evil)))
    (mail,) = box.mails
    assert mail["bcc"] is None
    html = mail.get_body(("html",))  # type: ignore[attr-defined]
    assert html is None or "<img" not in html.get_content()
    whole = mail.as_string()
    assert "\x1b" not in whole
    assert "Wrong: slice <img" in desk.rows[0]["text"]
    assert len(desk.rows[0]["text"].splitlines()) <= 10


class Caught:
    """What would go to a service on the internet, taken where it leaves this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import requests

        self.sent: list[tuple[str, dict[str, Any]]] = []

        def take(_: object, request: Any, **__: object) -> Any:
            self.sent.append((request.url, json.loads(request.body)))
            answer = requests.Response()
            answer.status_code = 202 if "pagerduty" in request.url else 200
            answer._content = b"ok"
            return answer

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", take)


def test_pagerduty_has_one_incident_of_an_alert_which_resolved_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught = Caught(monkeypatch)
    desk = Desk(tmp_path, {"to": f"pagerduty://{'k' * 32}@{'a' * 20}"})
    desk.tell(wrong(problem()))
    desk.tell(wrong(problem(), problem("listings.other")))
    desk.tell(right(NEXT))
    sent = [body for url, body in caught.sent if "pagerduty.com" in url]
    assert [body["event_action"] for body in sent] == ["trigger", "trigger", "resolve"]
    assert {body["dedup_key"] for body in sent} == {desk.rows[0]["alert_id"]}
    assert sent[0]["payload"]["severity"] == "critical"


def test_what_comes_from_data_calls_nobody_in_slack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught = Caught(monkeypatch)
    desk = Desk(tmp_path, {"to": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ctr"})
    desk.tell(wrong(problem(what="of <!channel> and <https://evil.example|here>")))
    ((_, body),) = caught.sent
    told = json.dumps(body)
    assert "Wrong: of &lt;!channel&gt;" in told
    assert "<!channel" not in told
    assert "<https://evil" not in told


def test_a_sink_that_fails_is_said_and_told_again_later(
    hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGER", f"json://user:topsecret@127.0.0.1:{unused_port()}/tokens")
    desk = Desk(tmp_path, {"to": "ENV:PAGER"}, {"to": hook.url})
    desk.tell(wrong(problem()))
    assert len(hook.posts) == 1
    (row,) = desk.rows
    assert row["note"].startswith("ENV:PAGER: ")
    assert "topsecret" not in repr(desk.rows) + repr(desk.said)
    assert any("ENV:PAGER" in line for line in desk.said)
    monkeypatch.setenv("PAGER", hook.url)
    assert desk.tell() == ["sent"]
    assert len(hook.posts) == 2
    assert desk.tell() == []


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"to": "ENV:NO_SUCH_VARIABLE"})
    desk.tell(wrong(problem()))
    assert "NO_SUCH_VARIABLE is not set" in desk.rows[0]["note"]


def test_a_dry_run_says_what_it_would_send_and_writes_nothing(
    hook: Webhook, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, {"to": hook.url})
    desk.tell(wrong(problem()), dry_run=True)
    assert hook.posts == []
    assert not desk.tables.exists("alerts")
    assert desk.said == ["would send: PAGE promoted-ctr 2026-02-06: listings -> json://*** (1)"]


def test_nobody_is_told_more_than_is_configured_within_an_hour(
    hook: Webhook, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, {"to": hook.url}, most_per_hour=2)
    several = [problem(f"p{n}", cause=f"c{n}", severity="ticket") for n in range(3)]
    desk.tell(wrong(*several, problem()))
    assert [post["title"].split()[0] for post in hook.posts] == ["PAGE", "TICKET"]
    assert sum("held back" in (row["note"] or "") for row in desk.rows) == 2


def test_routes_take_alerts_by_severity_owner_and_table(hook: Webhook, tmp_path: Path) -> None:
    desk = Desk(
        tmp_path,
        {"to": hook.url, "severity": ["ticket"], "owner": ["catalogue"]},
        {"to": hook.url, "table": ["clicks"]},
    )
    desk.tell(wrong(problem()))
    assert hook.posts == []
    owned = problem("x", cause="x", severity="ticket", owner="catalogue")
    desk.tell(wrong(problem(), owned))
    assert len(hook.posts) == 1
    desk.tell(wrong(problem(), owned, problem("y", cause="y", table="clicks")))
    assert len(hook.posts) == 2


def test_apprise_is_imported_only_when_something_is_sent(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, pathlib\n"
        "from tests.unit.test_alerts_sent import Desk, wrong, problem\n"
        f"Desk(pathlib.Path({str(tmp_path)!r})).tell(wrong(problem()))\n"
        "sys.exit('apprise' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_page_nobody_has_acknowledged_is_told_again(
    hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, {"to": hook.url}, repeat_hours=24)
    desk.tell(wrong(problem()))
    later = alerting.now() + timedelta(hours=25)
    monkeypatch.setattr(alerting, "now", lambda: later)
    assert desk.tell(wrong(problem(ds=NEXT), ds=NEXT)) == ["repeated"]
    assert len(hook.posts) == 2
    assert "still open" in hook.posts[1]["title"]
    assert "log days 2026-02-06 to 2026-02-07" in hook.posts[1]["message"]


def test_an_acknowledged_page_is_not_told_again(
    hook: Webhook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, {"to": hook.url}, repeat_hours=24)
    desk.tell(wrong(problem()))
    log = read_alerts(desk.tables)
    newest = newest_rows(log)["listings"]
    taken = acknowledged(log.alerts["listings"], newest, alerting.now(), "me", "on it")
    write_events(desk.tables, [taken])
    later = alerting.now() + timedelta(hours=25)
    monkeypatch.setattr(alerting, "now", lambda: later)
    assert desk.tell(wrong(problem(ds=NEXT), ds=NEXT)) == ["continued"]
    # What is worse than what was taken on is told.
    assert desk.tell(wrong(problem(ds=NEXT), problem("listings.other", ds=NEXT), ds=NEXT)) == [
        "worsened"
    ]
    assert len(hook.posts) == 2


def test_that_it_is_over_is_told_only_to_those_who_heard_of_it(
    hook: Webhook, tmp_path: Path
) -> None:
    desk = Desk(tmp_path, {"to": hook.url})
    until = alerting.now() + timedelta(hours=1)
    write_events(desk.tables, [muting("list*", alerting.now(), "me", reason="r", until=until)])
    desk.tell(wrong(problem()))
    assert desk.tell(right(NEXT)) == ["resolved"]
    assert desk.tell() == []
    assert hook.posts == []


def test_what_a_library_says_of_a_failure_is_recorded_without_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import apprise

    def fails(*_: object, **__: object) -> bool:
        raise OSError("cannot reach json://user:topsecret@host/token")

    monkeypatch.setattr(apprise.Apprise, "notify", fails)
    desk = Desk(tmp_path, {"to": "json://user:topsecret@host/token"})
    desk.tell(wrong(problem()))
    (row,) = desk.rows
    assert "OSError: cannot reach" in row["note"]
    assert "topsecret" not in repr(row) + repr(desk.said)
    assert "token" not in repr(row) + repr(desk.said)

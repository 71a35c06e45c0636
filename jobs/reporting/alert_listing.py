"""What a person does with alerts: look, take one on, have some quiet."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.reporting.alert_log import AlertLog, Row, alert_row, newest_rows, open_alerts, read_alerts
from jobs.setup.exits import InputMissing
from jobs.storage.tables import Tables
from pipelines.quality.alert_text import plain
from pipelines.quality.alerts import Alert
from pipelines.quality.report_data import OpenAlert

STYLES = {"page": "bold red", "ticket": "yellow", "none": "dim"}


def find_alert(log: AlertLog, which: str) -> Alert:
    """The alert of an id, or the newest of a key.

    Raises
    ------
    InputMissing
        There is none.
    """
    for alert in log.alerts.values():
        if which in (alert.key, alert.alert_id):
            return alert
    known = ", ".join(sorted(a.alert_id for a in open_alerts(log))) or "none"
    raise InputMissing(f"there is no alert {which!r}; open are: {known}")


def told_alerts(tables: Tables) -> list[OpenAlert]:
    """Open alerts with what was told of them, for the report."""
    log = read_alerts(tables)
    newest = newest_rows(log)
    return [
        OpenAlert(
            alert_id=alert.alert_id,
            severity=alert.severity,
            title=newest[alert.key]["title"],
            lines=newest[alert.key]["text"].split("\n"),
            acknowledged=alert.acknowledged,
        )
        for alert in open_alerts(log)
    ]


def acknowledged(alert: Alert, newest: Row, at: datetime, who: str, reason: str) -> Row:
    """The row that says that somebody is on it."""
    return alert_row(
        replace(alert, acknowledged=True), "acknowledged", at, title=newest["title"],
        text=newest["text"], who=who, reason=plain(reason),
    )  # fmt: skip


def muting(pattern: str, at: datetime, who: str, *, reason: str, until: datetime | None) -> Row:
    """The row that mutes alerts; without an end, that takes it back."""
    event = "muted" if until else "unmuted"
    return {
        "key": pattern, "alert_id": "", "event": event, "at": at, "state": event,
        "severity": "none", "owners": [], "tables": [], "first_seen": at, "first_day": at.date(),
        "problems": "{}", "title": f"{event} {pattern}", "text": plain(reason), "sent_to": [],
        "known_to": [], "who": who, "reason": plain(reason), "until": until, "ds": at.date(),
    }  # fmt: skip


def print_alerts(console: Console, log: AlertLog, alerts: Sequence[Alert], at: datetime) -> None:
    """One line an alert, then the mutes that hold."""
    if not alerts:
        console.print("no alert is open")
    else:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
        for name in ("id", "severity", "days", "key"):
            table.add_column(name, no_wrap=True)
        for name in ("what", "told"):
            table.add_column(name)
        for alert in alerts:
            style = STYLES[alert.severity] if alert.state == "open" else "green"
            first, last = f"{alert.first_day:%m-%d}", f"{alert.ds:%m-%d}"
            told = "acknowledged" if alert.acknowledged else ", ".join(sorted(alert.sent_to))
            table.add_row(
                alert.alert_id,
                f"[{style}]{alert.severity if alert.state == 'open' else 'resolved'}[/]",
                first if first == last else f"{first} to {last}",
                escape(alert.key),
                escape(plain(alert.worst_first[0].what, 100)),
                escape(told or "nobody"),
            )
        console.print(table)
    for mute in log.mutes:
        if at < mute.until:
            text = f"muted until {mute.until:%Y-%m-%d %H:%M} UTC: {mute.pattern} ({mute.reason})"
            console.print(text, markup=False, highlight=False)


def print_alert(console: Console, log: AlertLog, alert: Alert) -> None:
    """The message of an alert, and its events."""
    newest = newest_rows(log)[alert.key]
    console.print(newest["title"], style="bold", markup=False, highlight=False)
    console.print(newest["text"], markup=False, highlight=False)
    for row in log.rows:
        if row["alert_id"] == alert.alert_id:
            said = [f"by {row['who']}"] if row["who"] else []
            said += [f"told {', '.join(row['sent_to'])}"] if row["last_sent"] == row["at"] else []
            said += [text for text in (row["reason"], row["note"]) if text]
            text = f"  {row['at']:%Y-%m-%d %H:%M} {row['event']} {row['ds']}  {'; '.join(said)}"
            console.print(text.rstrip(), markup=False, highlight=False)


def write_json(log: AlertLog, alerts: Sequence[Alert]) -> None:
    """The newest rows of alerts as JSON."""
    rows = newest_rows(log)
    plain_rows = [rows[a.key] | {"problems": json.loads(rows[a.key]["problems"])} for a in alerts]
    sys.stdout.write(json.dumps(plain_rows, indent=1, default=str) + "\n")

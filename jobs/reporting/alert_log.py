"""The table `alerts`: one row an event; the newest row of a key is the alert as it stands."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from jobs.setup.exits import LockHeld
from jobs.storage.lease import Lease
from jobs.storage.tables import Tables
from pipelines.quality.alerts import SEVERITIES, Alert, Mute, Problem

Row = dict[str, Any]

WAITS_S = 120.0
"""For another process to have told: longer than the lease of a killed one runs."""
_LOOKS_EVERY_S = 0.3


@dataclass(frozen=True)
class AlertLog:
    """What was recorded.

    Attributes
    ----------
    alerts : mapping of str to Alert
        The newest alert of each key.
    mutes : sequence of Mute
        Those that were not taken back.
    rows : sequence of dict
        Every event, oldest first.
    """

    alerts: Mapping[str, Alert]
    mutes: Sequence[Mute]
    rows: Sequence[Row]

    def sent_since(self, at: datetime) -> int:
        """Messages sent since then."""
        return sum(row["last_sent"] == row["at"] and row["at"] >= at for row in self.rows)

    def messages_of_last_hour(self, at: datetime) -> int:
        """Messages sent within the hour before."""
        return self.sent_since(at - timedelta(hours=1))


def read_alerts(tables: Tables) -> AlertLog:
    """Read the table; empty where nothing has happened yet."""
    if not tables.exists("alerts"):
        return AlertLog({}, (), ())
    rows: list[Row] = tables.read_arrow("alerts").sort_by("at").to_pylist()
    alerts: dict[str, Alert] = {}
    mutes: dict[str, Mute] = {}
    for row in rows:
        key = row["key"]
        if row["event"] == "muted":
            mutes[key] = Mute(key, row["until"], row["reason"] or "")
        elif row["event"] == "unmuted":
            mutes.pop(key, None)
        else:
            alerts[key] = _alert(row, alerts.get(key))
    return AlertLog(alerts, tuple(mutes.values()), rows)


def _alert(row: Row, before: Alert | None) -> Alert:
    same = before is not None and before.alert_id == row["alert_id"]
    acknowledged = row["event"] == "acknowledged" or (
        same and before is not None and before.acknowledged and row["state"] == "open"
    )
    return Alert(
        key=row["key"],
        alert_id=row["alert_id"],
        state=row["state"],
        first_seen=row["first_seen"],
        first_day=row["first_day"],
        problems={name: _problem(told) for name, told in json.loads(row["problems"]).items()},
        sent_to=frozenset(row["sent_to"]),
        known_to=frozenset(row["known_to"]),
        last_sent=row["last_sent"],
        acknowledged=acknowledged,
    )


def _problem(told: Row) -> Problem:
    days = {name: date.fromisoformat(told[name]) for name in ("first_day", "ds")}
    return Problem(**(told | days))


def alert_row(
    alert: Alert, event: str, at: datetime, *, title: str, text: str, **more: object
) -> Row:
    """A row of `alerts`; `more` are the columns that not every event has."""
    problems = {name: asdict(problem) for name, problem in sorted(alert.problems.items())}
    return {
        "key": alert.key,
        "alert_id": alert.alert_id,
        "event": event,
        "at": at,
        "state": alert.state,
        "severity": alert.severity,
        "owners": alert.owners,
        "tables": alert.tables,
        "first_seen": alert.first_seen,
        "first_day": alert.first_day,
        "problems": json.dumps(problems, default=str),
        "title": title,
        "text": text,
        "sent_to": sorted(alert.sent_to),
        "known_to": sorted(alert.known_to),
        "last_sent": alert.last_sent,
        "ds": alert.ds,
        **more,
    }


def open_alerts(log: AlertLog) -> list[Alert]:
    """Open alerts, the worst first, then the oldest."""
    alerts = [alert for alert in log.alerts.values() if alert.state == "open"]
    return sorted(alerts, key=lambda a: (-SEVERITIES.index(a.severity), a.first_seen, a.key))


def newest_rows(log: AlertLog) -> dict[str, Row]:
    """The newest row of each alert, by its key."""
    return {row["key"]: row for row in log.rows if row["alert_id"]}


def write_events(tables: Tables, rows: Sequence[Row]) -> None:
    """Append events in one commit."""
    if rows:
        tables.write_rows("alerts", rows, None)


@contextmanager
def alerts_lock(root: str) -> Iterator[None]:
    """Keep two processes from telling the same news twice; a run does not wait for another's rows.

    Raises
    ------
    LockHeld
        In an object store, others have told for minutes: what is owed is told by the next run.
    """
    if "://" in root:
        lease = Lease(f"{root.rstrip('/')}/_alerts", "alerts")
        _wait_for(lease)
        try:
            yield
        finally:
            lease.give_back()
        return
    folder = Path(root)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock-alerts").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _wait_for(lease: Lease) -> None:
    deadline = time.monotonic() + WAITS_S
    while True:
        try:
            lease.take()
            return
        except LockHeld:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOKS_EVERY_S)

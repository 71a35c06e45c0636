"""Telling people: what judgements make of the alerts is sent, and all of it recorded.

Nothing here fails a run: what cannot be sent or recorded is said in one line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from jobs import FLOW
from jobs.planning.record import now
from jobs.reporting.alert_log import (
    AlertLog,
    Row,
    alert_row,
    alerts_lock,
    read_alerts,
    write_events,
)
from jobs.reporting.routes import Message, labels, send
from jobs.setup.config import Config
from jobs.storage.reading import OF_PUBLICATIONS, published_days, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.alert_settings import Route
from pipelines.quality.alert_text import Surroundings, message, title
from pipelines.quality.alerts import Alert, Change, Judgement, is_due_again, settle

if TYPE_CHECKING:
    from rich.console import Console

Say = Callable[[str], None]


def said_on(console: Console) -> Say:
    """Lines on a console as they are: data in them is no markup."""
    return lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)


@dataclass
class Teller:
    """Whom alerts of one warehouse are sent to.

    Attributes
    ----------
    say : callable
        Takes lines for whoever looks on.
    run_id : str
    who : str
        Who tells, where it is a person or a scheduler.
    dry_run : bool
        Whether it is only said what would be sent.
    is_quiet : bool
        Whether alerts that no route takes are recorded without a word.
    """

    tables: Tables
    config: Config
    say: Say
    run_id: str = ""
    who: str = ""
    dry_run: bool = False
    is_quiet: bool = False

    def tell(self, judgements: Iterable[Judgement]) -> list[Change]:
        """Settle alerts by judgements; send what is news, what is owed, and what is due again.

        Returns
        -------
        list of Change
            What became of alerts.
        """
        at = now()
        lock = nullcontext() if self.dry_run else alerts_lock(self.tables.root)
        with lock:
            log = read_alerts(self.tables)
            changes = settle(log.alerts, judgements, at)
            changed = {change.alert.key for change in changes}
            others = [a for key, a in sorted(log.alerts.items()) if key not in changed]
            changes = [self._perhaps_again(change, at) for change in changes]
            changes += self._still_to_tell(others, at)
            if changes:
                rows = list(self._deliver(log, changes, at))
                if not self.dry_run:
                    write_events(self.tables, rows)
        return changes

    def _still_to_tell(self, alerts: Sequence[Alert], at: datetime) -> list[Change]:
        """Alerts that a route has not taken yet, and those that are told again."""
        changes = [self._perhaps_again(Change("sent", alert), at) for alert in alerts]
        return [change for change in changes if self._owed(change.alert)]

    def _perhaps_again(self, change: Change, at: datetime) -> Change:
        """A change that is no news, told again where that is due."""
        alert = change.alert
        if change.is_news or not is_due_again(alert, at, self.config.alerts.repeat_hours):
            return change
        return Change("repeated", replace(alert, sent_to=frozenset()))

    def _owed(self, alert: Alert) -> dict[str, Route]:
        """The routes that have not taken the message of an alert's state.

        That it is over is told to those who were told of it.
        """
        return {
            label: route
            for label, route in labels(self.config.alerts.routes).items()
            if label not in alert.sent_to
            if (label in alert.known_to if alert.state == "resolved" else route.takes(alert))
        }

    def _deliver(self, log: AlertLog, changes: Sequence[Change], at: datetime) -> Iterator[Row]:
        around = _Around(self.tables, self.config)
        left = self.config.alerts.most_per_hour - log.messages_of_last_hour(at)
        out_of_order: dict[str, str] = {}
        for change in changes:
            alert = change.alert
            told = _told(log, alert) if change.event == "sent" else None
            head, text = told or (title(alert, change.event), message(change, around.of(alert)))
            owed = self._owed(alert)
            held = self._held(log, alert, at, left) if owed else ""
            taken: set[str] = set()
            notes = [held] if held else []
            for label, route in owed.items() if not held else ():
                why = out_of_order.get(label) or send(route, Message(alert, head, text))
                if why is None:
                    taken.add(label)
                else:
                    out_of_order[label] = why
                    notes.append(f"{label}: {why}")
            left -= bool(taken)
            if change.event == "sent" and not taken:
                # Nothing has changed: what was recorded holds.
                self._report(change, head, owed, taken, notes)
                continue
            if taken:
                alert = replace(
                    alert,
                    sent_to=alert.sent_to | taken,
                    known_to=alert.known_to | taken,
                    last_sent=at,
                )
            self._report(change, head, owed, taken, notes)
            yield alert_row(
                alert, change.event, at, title=head, text=text, note="; ".join(notes) or None,
                run_id=self.run_id or None, who=self.who or None,
            )  # fmt: skip

    def _held(self, log: AlertLog, alert: Alert, at: datetime, left: int) -> str:
        """Why a message is not sent now."""
        mute = next((mute for mute in log.mutes if mute.covers(alert.key, at)), None)
        if mute is not None:
            return f"muted until {mute.until:%Y-%m-%d %H:%M} UTC: {mute.reason}"
        if self.dry_run or not self.config.alerts.send:
            return "not sent: dry run"
        if left <= 0:
            return f"held back: {self.config.alerts.most_per_hour} messages within an hour"
        return ""

    def _report(
        self, change: Change, head: str, owed: Collection[str], taken: set[str], notes: list[str]
    ) -> None:
        to = ", ".join(sorted(owed)) or "no route takes it"
        if self.dry_run or not self.config.alerts.send:
            if change.is_news or owed:
                self.say(f"would send: {head} -> {to}")
            return
        if change.is_news and (owed or not self.is_quiet):
            sent = f" -> {', '.join(sorted(taken))}" if taken else ""
            self.say(f"alert {change.event}: {head}{sent}")
        for note in notes:
            self.say(f"alert not sent, {note}")


_SENT = ("opened", "worsened", "resolved", "repeated", "sent")


def _told(log: AlertLog, alert: Alert) -> tuple[str, str] | None:
    """What was to be sent of an alert when its state last changed."""
    rows = [row for row in log.rows if row["alert_id"] == alert.alert_id and row["event"] in _SENT]
    return (rows[-1]["title"], rows[-1]["text"]) if rows else None


@dataclass
class _Around:
    """What is around alerts, read once."""

    tables: Tables
    config: Config
    _published: list[date] | None = None

    def of(self, alert: Alert) -> Surroundings:
        if self._published is None:
            self._published = published_days(read_runs(self.tables, OF_PUBLICATIONS))
        settings = self.config.alerts
        folder = settings.reports_url or self.config.storage.reports
        tables = set(alert.tables)
        return Surroundings(
            published=alert.ds in self._published,
            served_day=self._published[-1] if self._published else None,
            readers=tuple(
                job.name for job in FLOW if any(read.table in tables for read in job.reads)
            ),
            report=f"{folder.rstrip('/')}/{alert.ds}.html",
        )

"""`promoted-ctr alerts`: what is open, and whom it is told; see docs/alerts.md."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta

from rich.console import Console

from jobs.commands.arguments import add_common_of_action, iso_date, user
from jobs.planning.record import now
from jobs.reporting.alert_listing import (
    acknowledged,
    find_alert,
    muting,
    print_alert,
    print_alerts,
    write_json,
)
from jobs.reporting.alert_log import (
    AlertLog,
    Row,
    alerts_lock,
    newest_rows,
    open_alerts,
    read_alerts,
    write_events,
)
from jobs.reporting.alerting import Teller, said_on
from jobs.reporting.history_page import last_judged, print_history, read_history
from jobs.reporting.routes import Message, labels, send
from jobs.reporting.told import tell_late, tell_raised, tell_resolved
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing, UsageError
from jobs.storage.reading import read_runs
from jobs.storage.tables import Tables
from pipelines.quality.alerts import Alert, Problem, Severity

EXAMPLES = """examples:
  promoted-ctr alerts                                   what is open
  promoted-ctr alerts show 3f2a91c0                     the whole message, and what became of it
  promoted-ctr alerts acknowledge 3f2a91c0 --reason "on it"
  promoted-ctr alerts mute listings --hours 8 --reason "catalogue is being moved"
  promoted-ctr alerts test                              does every route work?
  promoted-ctr alerts late --date 2026-02-06            for a scheduler: page if not published
  promoted-ctr alerts raise --key ctr_daily --severity page --date 2026-02-06 --what "task killed"
  promoted-ctr alerts resolve --key ctr_daily --date 2026-02-06"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags: one parser an action."""
    parser.description = "Show alerts and act on them. Without an action: list."
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", metavar="action")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(name, help=text, description=text)
        return made

    listed = add("list", "open alerts, the worst first")
    listed.add_argument("--all", action="store_true", help="resolved ones too")
    listed.add_argument("--format", choices=("table", "json"), default="table")
    shown = add("history", "which checks failed on which of the last 28 days, and the alerts")
    shown.add_argument("--date", type=iso_date, metavar="D", help="last of them; default: newest")
    add("show", "the message of an alert, and what became of it").add_argument("alert", help=_WHICH)
    taken = add("acknowledge", "somebody is on it: it is not told again unless it gets worse")
    taken.add_argument("alert", help=_WHICH)
    taken.add_argument("--reason", default="", metavar="TEXT", help="what is being done")
    mute = add("mute", "send nothing of some alerts for a while; they are recorded")
    mute.add_argument("key", help="key of alerts, or a pattern such as 'gate*' or '*'")
    mute.add_argument("--reason", required=True, metavar="TEXT", help="why")
    end = mute.add_mutually_exclusive_group(required=True)
    end.add_argument("--hours", type=float, metavar="N", help="for so long")
    end.add_argument("--until", type=_moment, metavar="T", help="2026-02-07 or 2026-02-07T06:00")
    add("unmute", "send again").add_argument("key", help="as it was muted")
    test = add("test", "send a test message on every route")
    told = add("raise", "tell of something wrong that a scheduler has seen")
    told.add_argument("--key", required=True, metavar="KEY", help="what it is about")
    told.add_argument("--severity", choices=("page", "ticket"), default="page")
    told.add_argument("--date", type=iso_date, required=True, metavar="D", help="log day")
    told.add_argument("--what", required=True, metavar="TEXT", help="what is wrong, in a line")
    told.add_argument("--owner", default="", metavar="NAME", help="as in the routes")
    over = add("resolve", "tell that it is over")
    over.add_argument("--key", required=True, metavar="KEY", help="as it was raised")
    over.add_argument("--date", type=iso_date, required=True, metavar="D", help="log day")
    late = add("late", "page if a day is not published; call it at the hour it must be there")
    late.add_argument("--date", type=iso_date, required=True, metavar="D", help="log day")
    for action in (test, told, over, late):
        action.add_argument("--dry-run", action="store_true", help="say what would be sent")
    for action in actions.choices.values():
        add_common_of_action(action)


_WHICH = "id or key of an alert"


def _moment(text: str) -> datetime:
    """A day or a time, UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2026-02-07T06:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Do one action."""
    action, at, say = arguments.action or "list", now(), said_on(console)
    is_dry = getattr(arguments, "dry_run", False)
    teller = Teller(tables, config, say, who=user(), dry_run=is_dry)
    if action == "test":
        return _test(teller)
    if action == "raise":
        severity: Severity = arguments.severity
        what, owner = arguments.what, arguments.owner
        tell_raised(teller, arguments.key, arguments.date, what, severity, owner)
    elif action == "resolve":
        tell_resolved(teller, arguments.key, arguments.date)
    elif action == "late":
        tell_late(teller, arguments.date)
    elif action in ("acknowledge", "mute", "unmute"):
        with alerts_lock(tables.root):
            write_events(tables, [_event(arguments, read_alerts(tables), at)])
        say(f"{arguments.action}d: {getattr(arguments, 'alert', '') or arguments.key}")
    elif action == "history":
        runs = read_runs(tables)
        if not runs:
            raise InputMissing(f"nothing was run yet in {tables.root}: see `promoted-ctr run`")
        print_history(console, read_history(tables, runs, arguments.date or last_judged(runs)))
    else:
        log = read_alerts(tables)
        if action == "show":
            print_alert(console, log, find_alert(log, arguments.alert))
            return ExitCode.DONE
        is_all = getattr(arguments, "all", False)
        shown = list(log.alerts.values()) if is_all else open_alerts(log)
        if getattr(arguments, "format", "table") == "json":
            write_json(log, shown)
        else:
            print_alerts(console, log, shown, at)
    return ExitCode.DONE


def _event(arguments: argparse.Namespace, log: AlertLog, at: datetime) -> Row:
    """What is recorded of what a person does."""
    who = user()
    if arguments.action == "acknowledge":
        alert = find_alert(log, arguments.alert)
        if alert.state != "open":
            raise UsageError(f"alert {arguments.alert} is resolved: there is nothing to be done")
        return acknowledged(alert, newest_rows(log)[alert.key], at, who, arguments.reason)
    if arguments.action == "unmute":
        if arguments.key not in {mute.pattern for mute in log.mutes}:
            raise UsageError(f"{arguments.key!r} is not muted")
        return muting(arguments.key, at, who, reason="", until=None)
    until = arguments.until or at + timedelta(hours=arguments.hours)
    if until <= at:
        raise UsageError(f"the end of a mute is to come, {until:%Y-%m-%d %H:%M} UTC is over")
    return muting(arguments.key, at, who, reason=arguments.reason, until=until)


def _test(teller: Teller) -> int:
    """Send a test message on every route, whatever the route takes."""
    routes = labels(teller.config.alerts.routes)
    if not routes:
        raise UsageError("there is no route: set alerts.routes, docs/alerts.md has examples")
    at = now()
    failed = False
    what = "this is a test: nothing is wrong, nothing is to be done"
    problem = Problem("test", "test", "test", at.date(), at.date(), "ticket", what)
    alert = Alert("test", "test", "open", at, at.date(), {"test": problem})
    for label, route in routes.items():
        if teller.dry_run:
            teller.say(f"would send: a test message -> {label}")
            continue
        why = send(route, Message(alert, "TEST promoted-ctr", what))
        failed |= why is not None
        teller.say(f"{label}: {why or 'taken'}")
    return ExitCode.UNEXPECTED if failed else ExitCode.DONE

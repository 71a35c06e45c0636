"""Sending a message one way, by apprise. No part of an address is ever shown or recorded."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.quality.alert_settings import ENV, Route, without_secrets
from pipelines.quality.alerts import Alert

_PAGERDUTY = re.compile(r"^pagerduty://", re.IGNORECASE)
_FILE = "file://"


@dataclass(frozen=True)
class Message:
    """What is sent, and of which alert."""

    alert: Alert
    title: str
    text: str


def labels(routes: Sequence[Route]) -> dict[str, Route]:
    """Routes by a name that tells them apart and holds no secret.

    >>> list(labels([Route(to="ENV:OPS"), Route(to="json://user:password@host")]))
    ['ENV:OPS', 'json://*** (2)']
    """
    named: dict[str, Route] = {}
    for number, route in enumerate(routes, start=1):
        shown = without_secrets(route.to)
        is_plain = route.to.startswith(ENV) and shown not in named
        named[shown if is_plain else f"{shown} ({number})"] = route
    return named


def send(
    route: Route, message: Message, environment: Mapping[str, str] | None = None
) -> str | None:
    """Send a message one way.

    Returns
    -------
    str or None
        Why it was not taken; None where it was.
    """
    environment = os.environ if environment is None else environment
    address = route.to
    if address.startswith(ENV):
        name = address.removeprefix(ENV)
        address = environment.get(name, "").strip()
        if not address:
            return f"the environment variable {name} is not set"
    try:
        if address.startswith(_FILE):
            _append(Path(address.removeprefix(_FILE)), message)
            return None
        return _notify(address, message)
    except Exception as problem:
        return _masked(f"{type(problem).__name__}: {problem}", address)


def _append(path: Path, message: Message) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{message.title}\n{message.text}\n\n")


def _notify(address: str, message: Message) -> str | None:
    # Its import costs .2 CPU-seconds and its first address .6 more: only where there is news.
    import apprise

    alert = message.alert
    if _PAGERDUTY.match(address):
        # One incident an alert: what gets worse updates it, `resolved` ends it.
        more = "&" if "?" in address else "?"
        address = f"{address}{more}action=map&dedup={alert.alert_id}"
    kinds: dict[str, Any] = {
        "page": apprise.NotifyType.FAILURE,
        "ticket": apprise.NotifyType.WARNING,
        "none": apprise.NotifyType.INFO,
    }
    kind = kinds[alert.severity] if alert.state == "open" else apprise.NotifyType.SUCCESS
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="promoted-ctr", app_desc=""))
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
        if not sender.add(address):
            return "not an address that apprise knows"
        is_taken = sender.notify(
            title=message.title,
            body=message.text,
            notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
        )
        words = said.getvalue().strip().splitlines()
    if is_taken:
        return None
    return _masked(words[0] if words else "it was not taken", address)


def _masked(text: str, address: str) -> str:
    """What a library says, in one line, without any part of the address."""
    parts = {part for part in re.split(r"[/:@?&=#,]+", address.partition("://")[2]) if part}
    for part in sorted(parts, key=len, reverse=True):
        if len(part) > 2:
            text = text.replace(part, "***")
    return " ".join(text.split())[:200]

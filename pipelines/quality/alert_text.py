"""The message of an alert: ten lines that a tired person reads on a phone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from pipelines.quality.alerts import Alert, Change, Problem
from pipelines.quality.wording import day_ranges

MOST_LINES = 10
_LINE = 240
_NAMED = 3
_CONTROL = re.compile(r"[\u061c\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


@dataclass(frozen=True)
class Surroundings:
    """What a message says besides the alert itself.

    Attributes
    ----------
    published : bool
        Whether the scores of the alert's last day are published.
    served_day : date or None
        The day whose scores consumers read.
    readers : sequence of str
        Jobs that read what is wrong.
    report : str
        Address of the day's report; empty where there is none.
    """

    published: bool = False
    served_day: date | None = None
    readers: tuple[str, ...] = ()
    report: str = ""


def plain(text: str, most: int = _LINE) -> str:
    r"""One line without what a terminal, a mail, a chat or a browser would obey.

    >>> plain("two\n lines \x1b[31m")
    'two lines [31m'
    """
    line = " ".join(_CONTROL.sub(" ", text).split())
    # Chats make links of this, under any name; other markup is escaped where they have it.
    line = line.replace("](", "] (")
    return line if len(line) <= most else line[: most - 1] + "…"


def title(alert: Alert, event: str) -> str:
    """First line of a message."""
    mark = "RESOLVED" if alert.state == "resolved" else alert.severity.upper()
    again = {"worsened": " got worse", "repeated": " is still open"}.get(event, "")
    more = f" (+{len(alert.problems) - 1})" if len(alert.problems) > 1 else ""
    return plain(f"{mark} promoted-ctr {alert.ds}: {alert.key}{more}{again}", 120)


def message(change: Change, around: Surroundings) -> str:
    """Say what is wrong, since when, how far off, what it touches, what to do, where to look.

    Returns
    -------
    str
        At most `MOST_LINES` lines.
    """
    alert = change.alert
    problems = alert.worst_first
    if alert.state == "resolved":
        return _resolved(alert, problems, around)
    named = problems[:_NAMED]
    lines = [f"Wrong: {problem.what}" for problem in named]
    if len(problems) > len(named):
        others = ", ".join(problem.name for problem in problems[len(named) :])
        lines.append(f"Also: {others}")
    worst = problems[0]
    lines += [
        f"Since: {_since(alert)}",
        f"Touches: {_touches(problems, around)}",
        *([f"Why it matters: {worst.why}"] if worst.why else []),
        f"Next: {worst.fix}",
        f"Look: {around.report or f'promoted-ctr report --date {alert.ds}'}",
        f"Take it: promoted-ctr alerts acknowledge {alert.alert_id}",
    ]
    return "\n".join(plain(line) for line in lines[:MOST_LINES])


def _since(alert: Alert) -> str:
    seen = f"seen {alert.first_seen:%Y-%m-%d %H:%M} UTC"
    if alert.first_day == alert.ds:
        return f"log day {alert.ds}, {seen}"
    return f"log days {alert.first_day} to {alert.ds}, {seen}"


def _touches(problems: list[Problem], around: Surroundings) -> str:
    served = f"consumers read the scores of {around.served_day}" if around.served_day else ""
    if any(problem.stops for problem in problems) and not around.published:
        return f"nothing is published; {served or 'consumers have no scores yet'}"
    parts = ["the scores of the day are published with it"] if around.published else []
    if not around.published and served:
        parts.append(served)
    if around.readers:
        parts.append(f"read by {', '.join(around.readers)}")
    return "; ".join(parts) or "nothing that is published"


def _resolved(alert: Alert, problems: list[Problem], around: Surroundings) -> str:
    days = sorted({day for p in problems for day in (p.first_day, p.ds)})
    lines = [
        f"Over: {', '.join(p.name for p in problems[:_NAMED])}"
        + (f" and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""),
        f"It was wrong on: {day_ranges(days)} (opened {alert.first_seen:%Y-%m-%d %H:%M} UTC)",
        f"It was: {problems[0].what}",
    ]
    if around.served_day:
        lines.append(f"Consumers read the scores of {around.served_day}")
    lines.append("Days that were stopped meanwhile are made by: promoted-ctr run --date D")
    return "\n".join(plain(line) for line in lines)

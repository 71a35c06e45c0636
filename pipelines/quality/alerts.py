"""When something wrong becomes an alert, and when the alert is over: no clock, no table, no sink.

What judges (the rules of a table, the gates, a run) says on a log day what it found wrong. An alert
is all that is wrong with one cause. It opens with the first problem, is worsened by another one or
by a higher severity, and is resolved when what judged finds none of them on the same or a later
day. A problem that lasts is one alert, however many days and checks it has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal

Severity = Literal["page", "ticket", "none"]
SEVERITIES: tuple[Severity, ...] = ("none", "ticket", "page")
"""How much it matters, rising: recorded only, for somebody's next working day, now."""

NEWS = ("opened", "worsened", "resolved")
"""Events that people are told of."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    cause : str
        What it has in common with others: together they are one alert.
    name : str
        Unique within the alert, such as ``listings.live_promoted``.
    judge : str
        Who found it, and will say when it is gone.
    first_day, ds : date
        First and last log day that it was found on.
    severity : str
    what : str
        What is wrong, and how far off, in one line.
    why : str
        What goes wrong for whom.
    table : str
        The table that is wrong; empty of a run.
    owner : str
    stops : bool
        Whether nothing is published because of it.
    fix : str
        The next step in words.
    """

    cause: str
    name: str
    judge: str
    first_day: date
    ds: date
    severity: Severity
    what: str
    why: str = ""
    table: str = ""
    owner: str = ""
    stops: bool = False
    fix: str = ""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of a log day.

    Attributes
    ----------
    undecided : collection of str
        Names of problems that could not be judged: they stay as they are.
    """

    judge: str
    ds: date
    wrong: Sequence[Problem] = ()
    undecided: Collection[str] = ()


@dataclass(frozen=True)
class Alert:
    """An alert as it stands.

    Attributes
    ----------
    key : str
        The cause; one alert of a key is open at a time.
    problems : mapping of str to Problem
        What is wrong, by name; of a resolved alert what was wrong last.
    sent_to : frozenset of str
        Routes that have taken the message of the present state.
    known_to : frozenset of str
        Routes that have taken any message of the alert.
    """

    key: str
    alert_id: str
    state: Literal["open", "resolved"]
    first_seen: datetime
    first_day: date
    problems: Mapping[str, Problem]
    sent_to: frozenset[str] = frozenset()
    known_to: frozenset[str] = frozenset()
    last_sent: datetime | None = None
    acknowledged: bool = False

    @property
    def severity(self) -> Severity:
        """That of the worst problem."""
        return max((p.severity for p in self.problems.values()), key=SEVERITIES.index)

    @property
    def ds(self) -> date:
        """The last log day that is wrong, or was."""
        return max(p.ds for p in self.problems.values())

    @property
    def tables(self) -> list[str]:
        """The tables that are wrong."""
        return sorted({p.table for p in self.problems.values() if p.table})

    @property
    def owners(self) -> list[str]:
        """Who owns what is wrong."""
        return sorted({p.owner for p in self.problems.values() if p.owner})

    @property
    def worst_first(self) -> list[Problem]:
        """The problems in the order in which they are told."""
        return sorted(
            self.problems.values(),
            key=lambda p: (-SEVERITIES.index(p.severity), not p.stops, p.first_day, p.name),
        )


@dataclass(frozen=True)
class Mute:
    """A time in which alerts are recorded and not sent.

    Attributes
    ----------
    pattern : str
        Of keys, as of file names: ``listings``, ``gate*``, ``*``.
    """

    pattern: str
    until: datetime
    reason: str

    def covers(self, key: str, at: datetime) -> bool:
        """Whether an alert is not to be sent now."""
        return at < self.until and fnmatchcase(key, self.pattern)


@dataclass(frozen=True)
class Change:
    """What became of an alert."""

    event: str
    alert: Alert
    news: Sequence[str] = field(default=())
    """Names of the problems that are new, or gone."""

    @property
    def is_news(self) -> bool:
        """Whether people are told."""
        return self.event in NEWS


def settle(
    alerts: Mapping[str, Alert], judgements: Iterable[Judgement], at: datetime
) -> list[Change]:
    """Say what judgements make of the alerts.

    Parameters
    ----------
    alerts : mapping of str to Alert
        The newest alert of each key.
    judgements : iterable of Judgement
        In the order in which they were made; for one moment, by day.
    at : datetime

    Returns
    -------
    list of Change
        At most one of each alert, the worst first. What opened and ended within these judgements
        is none.
    """
    before = {key: alert for key, alert in alerts.items() if alert.state == "open"}
    found: dict[str, dict[str, Problem]] = {k: dict(a.problems) for k, a in before.items()}
    for judgement in judgements:
        # What has another cause today is no longer a problem of the old one.
        said = {(problem.cause, problem.name) for problem in judgement.wrong}
        for key, problems in found.items():
            gone = [
                name
                for name, problem in problems.items()
                if problem.judge == judgement.judge and problem.ds <= judgement.ds
                if (key, name) not in said and name not in judgement.undecided
            ]
            for name in gone:
                del problems[name]
        for problem in judgement.wrong:
            if problem.severity == "none":
                continue
            of_cause = found.setdefault(problem.cause, {})
            known = of_cause.get(problem.name)
            of_cause[problem.name] = _newer(known, problem) if known else problem
    changes = [
        change
        for key, problems in found.items()
        if (change := _change(key, before.get(key), problems, at)) is not None
    ]
    return sorted(changes, key=lambda c: (-SEVERITIES.index(c.alert.severity), c.alert.key))


def _newer(known: Problem, problem: Problem) -> Problem:
    """The same problem on another day: as the latest day has it, since the first."""
    first = min(known.first_day, problem.first_day)
    return replace(problem if problem.ds >= known.ds else known, first_day=first)


def _change(
    key: str, old: Alert | None, problems: Mapping[str, Problem], at: datetime
) -> Change | None:
    if old is None:
        if not problems:
            return None
        first = min(problem.first_day for problem in problems.values())
        made = Alert(key, _id(key, at), "open", at, first, problems)
        return Change("opened", made, sorted(problems))
    if not problems:
        gone = replace(old, state="resolved", sent_to=frozenset(), acknowledged=False)
        return Change("resolved", gone, sorted(old.problems))
    if problems == old.problems:
        return None
    now = replace(old, problems=problems)
    added = sorted(set(problems) - set(old.problems))
    rose = SEVERITIES.index(now.severity) > SEVERITIES.index(old.severity)
    if added or rose:
        return Change("worsened", replace(now, sent_to=frozenset()), added)
    removed = sorted(set(old.problems) - set(problems))
    return Change("eased" if removed else "continued", now, removed)


def _id(key: str, at: datetime) -> str:
    """Short enough to be typed, and the same for the same event."""
    return hashlib.sha256(f"{key} {at.isoformat()}".encode()).hexdigest()[:8]


def is_due_again(alert: Alert, at: datetime, repeat_hours: float) -> bool:
    """Whether an open page that nobody has acknowledged is to be told once more."""
    if alert.state != "open" or alert.severity != "page" or alert.acknowledged:
        return False
    if not repeat_hours or alert.last_sent is None:
        return False
    return at - alert.last_sent >= timedelta(hours=repeat_hours)

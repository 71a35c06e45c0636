"""Section `alerts` of the configuration: who is told of what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, MinLen
from pydantic import PlainSerializer

from pipelines.parameters import Parameters
from pipelines.quality.alerts import Alert, Severity

ENV = "ENV:"
"""What the address of a route begins with that is in an environment variable."""


def without_secrets(to: str) -> str:
    """An address as it may be printed: the name of the variable, or the kind of service.

    >>> without_secrets("slack://TOKEN/CHANNEL"), without_secrets("ENV:SLACK")
    ('slack://***', 'ENV:SLACK')
    """
    return to if to.startswith(ENV) else f"{to.partition(':')[0]}://***"


@dataclass(frozen=True, kw_only=True)
class Route(Parameters):
    """Where alerts go, and which.

    Attributes
    ----------
    to : str
        ``ENV:NAME``, the environment variable that holds an apprise URL, or the URL itself.
    severity, owner, table : tuple of str
        Of which alerts; empty: of any.
    """

    to: Annotated[str, MinLen(1), PlainSerializer(without_secrets)]
    severity: tuple[Literal["page", "ticket"], ...] = ()
    owner: tuple[str, ...] = ()
    table: tuple[str, ...] = ()

    def takes(self, alert: Alert) -> bool:
        """Whether an alert goes this way."""
        return (
            alert.severity != "none"
            and _meets(self.severity, [alert.severity])
            and _meets(self.owner, alert.owners)
            and _meets(self.table, alert.tables)
        )


def _meets(asked: Collection[str], has: Collection[str]) -> bool:
    return not asked or bool(set(asked) & set(has))


@dataclass(frozen=True, kw_only=True)
class AlertSeverities(Parameters):
    """What a failed check, a stopped run or a late day is to people."""

    block: Severity
    quarantine: Severity
    warn: Severity
    info: Severity
    failed: Severity
    input: Severity
    late: Severity


@dataclass(frozen=True, kw_only=True)
class AlertSettings(Parameters):
    """Who is told of what, and how often.

    Attributes
    ----------
    send : bool
        False: it is only said what would be sent.
    most_per_hour : int
        Messages of all alerts; the rest waits.
    repeat_hours : float
        After so long an open page that nobody has acknowledged is told again; 0: never.
    reports_url : str
        Where the folder of the reports is served.
    """

    send: bool
    routes: tuple[Route, ...]
    most_per_hour: Annotated[int, Ge(1)]
    repeat_hours: Annotated[float, Ge(0)]
    reports_url: str
    metrics: str
    severity: AlertSeverities

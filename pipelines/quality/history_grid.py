"""Which checks failed on which of the last days: a grid of check by day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib import resources
from typing import Any

from pipelines.plain import finalized
from pipelines.quality.gates import GATE_MARK
from pipelines.quality.report import STATUS_MARKS, STATUS_ORDER
from pipelines.quality.wording import figure

HISTORY_DAYS = 28
"""Four of each weekday."""
_BAD = ("FAIL", "ERROR", "WARN")
_ORDER = {status: place for place, status in enumerate(STATUS_ORDER)}


@dataclass(frozen=True)
class GridRow:
    """A check, and its status on each of the days; empty where it was not made.

    Attributes
    ----------
    told : sequence of str
        Of each day what was measured, in words; empty where nothing is wrong.
    """

    table: str
    check: str
    severity: str
    cause: str
    statuses: Sequence[str]
    told: Sequence[str]

    @property
    def bad_days(self) -> int:
        """Days on which it did not pass."""
        return sum(status in _BAD for status in self.statuses)


@dataclass(frozen=True)
class AlertSpan:
    """An alert that was open on one of the days."""

    alert_id: str
    severity: str
    state: str
    key: str
    what: str
    first_day: date
    ds: date
    opened: datetime
    events: Sequence[str] = ()


@dataclass(frozen=True)
class History:
    """What the page of history says.

    Attributes
    ----------
    published : mapping of date to bool
        Days that were run, and whether their scores are published.
    rows : sequence of GridRow
        Checks that did not pass on at least one of the days, the newest failure first.
    quiet : int
        Checks that passed, or were skipped, on all of them.
    """

    days: Sequence[date]
    published: Mapping[date, bool] = field(default_factory=dict)
    rows: Sequence[GridRow] = ()
    quiet: int = 0
    alerts: Sequence[AlertSpan] = ()
    reports: frozenset[date] = frozenset()


def last_days(end: date, days: int = HISTORY_DAYS) -> list[date]:
    """The days to `end`, ascending."""
    return [end - timedelta(days=back) for back in range(days - 1, -1, -1)]


def grid(results: Iterable[Mapping[str, Any]], days: Sequence[date]) -> tuple[list[GridRow], int]:
    """Lay results out as check by day.

    Parameters
    ----------
    results : iterable of mapping
        Rows of `quality_results`, in any order; of a check, slice and day the latest counts, and of
        slices the worst.

    Returns
    -------
    rows, quiet
        As of `History`.
    """
    newest: dict[tuple[str, str, str, date], Mapping[str, Any]] = {}
    for row in sorted(results, key=lambda r: r["checked_at"]):
        newest[row["table"], row["check"], row["slice"], row["ds"]] = row
    cells: dict[tuple[str, str], dict[date, Mapping[str, Any]]] = {}
    for (table, check, _, ds), row in newest.items():
        of_check = cells.setdefault((table, check), {})
        if ds not in of_check or _ORDER[row["status"]] < _ORDER[of_check[ds]["status"]]:
            of_check[ds] = row
    rows = [_row(table, check, of_check, days) for (table, check), of_check in cells.items()]
    bad = [row for row in rows if row.bad_days]
    return sorted(bad, key=_newest_first), len(rows) - len(bad)


def _row(
    table: str, check: str, of_check: Mapping[date, Mapping[str, Any]], days: Sequence[date]
) -> GridRow:
    last = of_check[max(of_check)]
    causes = [r["cause"] for r in of_check.values() if r["status"] in _BAD and r.get("cause")]
    is_gate = check.startswith(GATE_MARK)
    return GridRow(
        table="gates" if is_gate else table,
        check=check.removeprefix(GATE_MARK),
        severity=last["severity"],
        cause=causes[-1] if causes else "",
        statuses=[of_check[day]["status"] if day in of_check else "" for day in days],
        told=[_told(of_check.get(day)) for day in days],
    )


def _told(row: Mapping[str, Any] | None) -> str:
    if row is None or row["status"] not in _BAD:
        return ""
    observed = "" if row["observed"] is None else f"{figure(row['observed'], 5)}, "
    part = f" of {row['slice']}" if row["slice"] else ""
    return f"{row['status']}{part}: {observed}expected {row['expected']}"


def _newest_first(row: GridRow) -> tuple[int, int, str, str]:
    back = next(n for n, status in enumerate(reversed(row.statuses)) if status in _BAD)
    worst = min(_ORDER[status] for status in row.statuses if status in _BAD)
    return back, worst, row.table, row.check


def render_history(history: History) -> str:
    """Write the page of history.

    Returns
    -------
    str
        One HTML page without outside references but the reports beside it.
    """
    import jinja2

    folder = resources.files("pipelines.quality") / "templates"
    environment = jinja2.Environment(
        autoescape=True,
        finalize=finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    template = environment.from_string((folder / "history.html.j2").read_text(encoding="utf-8"))
    return template.render(h=history, marks=STATUS_MARKS)

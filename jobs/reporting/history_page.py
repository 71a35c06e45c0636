"""The page of history beside the reports, and the same on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.reporting.alert_log import AlertLog, read_alerts
from jobs.reporting.pages import write_page
from jobs.storage.reading import PUBLISH_JOB, read_rows, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.history_grid import (
    AlertSpan,
    GridRow,
    History,
    grid,
    last_days,
    render_history,
)
from pipelines.quality.report import STATUS_MARKS

PAGE = "history.html"
_COLUMNS = ["table", "check", "slice", "severity", "status", "observed", "expected", "cause",
            "checked_at", "ds"]  # fmt: skip
_STYLES = {"FAIL": "bold red", "ERROR": "bold red", "WARN": "yellow", "PASS": "green"}
_EVENTS = 6
_STOPPED = ("failed", "refused")


def read_history(
    tables: Tables,
    runs: Sequence[Mapping[str, Any]],
    end: date,
    reports: Path | None = None,
    log: AlertLog | None = None,
) -> History:
    """Gather what happened in the days to `end`.

    Parameters
    ----------
    runs : sequence of mapping
        Rows of `runs`, oldest first.
    reports : Path, optional
        The folder of the reports, for links to those that are there.
    log : AlertLog, optional
        Read where it is not given.
    """
    days = last_days(end)
    newest = {row["ds"]: row for row in runs if row["job"] == PUBLISH_JOB}
    stopped = {row["ds"] for row in runs if row["status"] in _STOPPED}
    published = {
        day: bool(newest[day]["published"]) if day in newest else False
        for day in days
        if day in newest or day in stopped
    }
    rows, quiet = grid(_results(tables, days), days)
    return History(
        days=days,
        published=published,
        rows=rows,
        quiet=quiet,
        alerts=_spans(read_alerts(tables) if log is None else log, days[0], end),
        reports=frozenset(
            day for day in days if reports is not None and (reports / f"{day}.html").exists()
        ),
    )


def _results(tables: Tables, days: Sequence[date]) -> list[dict[str, Any]]:
    return read_rows(tables, "quality_results", days, columns=_COLUMNS)


def last_judged(runs: Sequence[Mapping[str, Any]]) -> date:
    """The newest day that a run was to publish; of those made at all where there is none.

    A day's labels need clicks of the day after, which is made no further than that.
    """
    judged = [row["ds"] for row in runs if row["job"] == PUBLISH_JOB]
    stopped = [row["ds"] for row in runs if row["status"] in _STOPPED]
    newest: date = max([*judged, *stopped] or [row["ds"] for row in runs])
    return newest


def write_history(tables: Tables, reports: str) -> Path:
    """Write the page of history beside the reports.

    Raises
    ------
    UsageError
        The folder cannot be written.
    """
    runs = read_runs(tables)
    folder = Path(reports)
    text = render_history(read_history(tables, runs, last_judged(runs), folder))
    return write_page(folder / PAGE, text)


def _spans(log: AlertLog, first: date, last: date) -> list[AlertSpan]:
    """Alerts of these days, open ones first, then the newest."""
    events: dict[str, list[dict[str, Any]]] = {}
    for row in log.rows:
        if row["alert_id"] and row["ds"] >= first and row["first_day"] <= last:
            events.setdefault(row["alert_id"], []).append(row)
    spans = []
    for alert_id, rows in events.items():
        newest = rows[-1]
        told = [
            f"{row['event']} {row['at']:%-d %b %H:%M}" + (f" by {row['who']}" if row["who"] else "")
            for row in rows
            if row["event"] not in ("continued", "eased", "sent")
        ]
        line = newest["text"].split("\n")[2 if newest["state"] == "resolved" else 0]
        spans.append(
            AlertSpan(
                alert_id=alert_id,
                severity=newest["severity"],
                state=newest["state"],
                key=newest["key"],
                what=line.partition(": ")[2],
                first_day=newest["first_day"],
                ds=newest["ds"],
                opened=newest["first_seen"],
                events=told[-_EVENTS:],
            )
        )
    return sorted(spans, key=lambda s: (s.state != "open", -s.opened.timestamp(), s.key))


def print_history(console: Console, history: History) -> None:
    """The grid on a terminal: a sign a day."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("check", overflow="fold", ratio=1)
    table.add_column(f"{history.days[0]:%m-%d} to {history.days[-1]:%m-%d}", no_wrap=True)
    signs = {True: "[green]✓[/]", False: "[bold red]✕[/]", None: " "}
    table.add_row("published", "".join(signs[history.published.get(d)] for d in history.days))
    for row in history.rows:
        table.add_row(escape(f"{row.table} {row.check}"), _signs(row))
    console.print(table)
    console.print(f"{history.quiet} other checks passed or were skipped on every day")


def _signs(row: GridRow) -> str:
    return "".join(
        f"[{_STYLES.get(status, 'dim')}]{STATUS_MARKS.get(status, ' ')}[/]"
        for status in row.statuses
    )

"""What a person and a machine are told of a day: a terminal summary and a JSON report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.reporting.history_page import PAGE
from jobs.reporting.pages import write_page
from pipelines.models.segments import SEGMENTS
from pipelines.quality.report import (
    MODELS,
    STATUS_MARKS,
    TABLE_METRICS,
    baseline_name,
    headline,
    judgement,
    render_html,
    scaled,
    status_counts,
)
from pipelines.quality.report_data import ReportData
from pipelines.quality.wording import number, probability, signed

_FIRST_SCORES = 5
_MIN_TITLE = 8
_ALERT_STYLES = {"page": "bold red", "ticket": "yellow", "none": "dim"}
_ALERT_LINES = ("Wrong:", "Next:", "Take it:")
_STATUS_STYLES = {"FAIL": "bold red", "ERROR": "bold red", "WARN": "yellow", "PASS": "green"}


def machine_report(data: ReportData) -> dict[str, Any]:
    """Give the report as plain JSON values; days as ISO text, sets as sorted lists."""
    written = json.dumps(asdict(data), default=_plain, sort_keys=True)
    # Refused rows over accepted ones are infinite where none was accepted; JSON has no such number.
    plain: dict[str, Any] = json.loads(written, parse_constant=lambda name: None)
    for window, source in zip(plain["windows"], data.windows, strict=True):
        window["held"] = [str(day) for day in source.days if day in source.held]
        window["missing"] = [str(day) for day in source.missing]
    return plain


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def write_report(data: ReportData, directory: str) -> tuple[Path, Path]:
    """Write ``<ds>.json`` and ``<ds>.html`` and give their paths; each appears whole or not at all.

    The page comes last: where it is, the report is whole, and no later run writes it again.

    Raises
    ------
    UsageError
        The directory cannot be written.
    """
    folder = Path(directory)
    html, machine = folder / f"{data.ds}.html", folder / f"{data.ds}.json"
    texts = {
        machine: json.dumps(machine_report(data), indent=1, sort_keys=True, allow_nan=False) + "\n",
        html: render_html(data),
    }
    for path, text in texts.items():
        write_page(path, text)
    return html, machine


def print_summary(
    console: Console, data: ReportData, html: Path | None = None, place: str = ""
) -> None:
    """Tell how the day went: open alerts and quality first, then evaluation, scores, reports.

    Parameters
    ----------
    place : str
        The address of the reports, where that is not the folder of `html`.
    """
    mark = headline(data)
    style = next(_STATUS_STYLES[s] for s, sign in STATUS_MARKS.items() if mark.startswith(sign))
    scored = f"{number(data.scores.count)} listings scored"
    console.print(f"\n[bold]{data.ds}[/] [{style}]{mark}[/]  {scored}")
    for sentence in (data.verdict, judgement(data)):
        if sentence:
            console.print(f"  {sentence}", highlight=False, markup=False)
    _print_alerts(console, data)
    _print_quality(console, data)
    if any(data.metric(m, "mixed", b.difference) for m in MODELS for b in TABLE_METRICS):
        console.print(_evaluation(data))
    if data.scores.count:
        console.print(_first_scores(data, console.width))
    for remark in data.degraded:
        console.print(f"  simpler form, {remark.job}: {remark.text}", highlight=False, markup=False)
    if html is not None:
        folder = place.rstrip("/") or html.parent
        pages = [("report", html.name)]
        if (html.parent / PAGE).is_file():
            pages.append(("the last 28 days", PAGE))
        if data.documents:
            pages.append(("documents", data.documents))
        for what, page in pages:
            text = f"  {what}: {folder}/{page}"
            console.print(text, highlight=False, markup=False, soft_wrap=True)


def _print_alerts(console: Console, data: ReportData) -> None:
    """Open alerts first: what is wrong and the next step."""
    for alert in data.alerts:
        style = _ALERT_STYLES[alert.severity]
        taken = " (acknowledged)" if alert.acknowledged else ""
        console.print(f"  [{style}]{escape(alert.title)}[/]{taken}", highlight=False)
        for line in alert.lines:
            if line.startswith(_ALERT_LINES):
                console.print(f"    {line}", highlight=False, markup=False)


def _evaluation(data: ReportData) -> Table:
    """The 3 x 3 in short: AUC and NE differences; the report has the rest and the intervals."""
    table = _table(f"evaluation: difference to {baseline_name(data)}")
    table.add_column("model", no_wrap=True)
    blocks = [block for block in TABLE_METRICS if block.metric != "log_loss"]
    for block in blocks:
        for segment in SEGMENTS:
            title = block.title if segment == SEGMENTS[0] else ""
            table.add_column(f"{title}\n{segment}", justify="right", no_wrap=True)
    table.add_column("calibration\nratio", justify="right", no_wrap=True)
    for model in MODELS:
        cells = []
        for block in blocks:
            for segment in SEGMENTS:
                cells.append(signed(scaled(data.metric(model, segment, block.difference), block),
                                    block.digits))  # fmt: skip
        ratio = data.metric(model, "mixed", "calibration_ratio")
        table.add_row(model, *cells, number(ratio.value if ratio else None, 3))
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        title_style="bold",
        padding=(0, 1, 0, 0),
    )


def _first_scores(data: ReportData, width: int) -> Table:
    rows = list(data.scores.top[:_FIRST_SCORES])
    rows += [row for row in data.scores.top_cold[:1] if row not in rows]
    cells = [
        (row.listing_id, row.title, probability(row.p_click), probability(row.p_historical),
         probability(row.p_content), number(row.window_impressions), row.segment)
        for row in rows
    ]  # fmt: skip
    names = ("listing", "title", "p_click", "historical", "content", "shown", "segment")
    return listing_table("first rows of the scores, and the best cold one", names, cells, width)


def listing_table(
    title: str, names: Sequence[str], rows: Sequence[Sequence[str]], width: int
) -> Table:
    """Lay out listings so that only the title gives way on a narrow terminal.

    Parameters
    ----------
    names : sequence of str
        Columns; all but `listing`, `title` and `segment` are figures, set to the right.
    """
    table = _table(title)
    others = [n for n in range(len(names)) if names[n] != "title"]
    needed = sum(max(cell_len(text) for text in (names[n], *(r[n] for r in rows))) for n in others)
    left = max(_MIN_TITLE, width - needed - 2 * len(names) - 1)
    for name in names:
        if name == "title":
            table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=left)
        else:
            is_text = name in ("listing", "segment")
            table.add_column(name, no_wrap=True, justify="left" if is_text else "right")
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    return table


def _print_quality(console: Console, data: ReportData) -> None:
    refused = ", ".join(f"{number(n)} {log}" for log, n in data.quarantined_rows.items())
    console.print(f"  quarantine: {refused or 'no row refused'}", highlight=False)
    stops = ("FAIL", "ERROR")
    for name, checks, shown in (
        ("gates", data.gates, (*stops, "SKIP")),
        ("checks", data.checks, stops),
    ):
        if not checks:
            continue
        counted = [
            f"[{_STATUS_STYLES.get(status, 'dim')}]{STATUS_MARKS[status]} {count} {status}[/]"
            for status, count in status_counts(checks)
        ]
        console.print(f"  {name}: {', '.join(counted)}", highlight=False)
        for check in checks:
            if check.status in shown:
                reason = check.details or f"observed {check.observed}"
                text = f"    {check.table} {check.name}: {reason}, asked for {check.expected}"
                console.print(text, highlight=False, markup=False)

"""`promoted-ctr runs`: the record of runs, newest first."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs import FLOW
from jobs.commands.arguments import iso_date
from jobs.planning.record import STARTED
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing
from jobs.storage.reading import Row, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.wording import number, seconds

EXAMPLES = """examples:
  promoted-ctr runs                                  the last jobs that ran
  promoted-ctr runs --status failed                  what went wrong, and why
  promoted-ctr runs --job publish_scores --limit 30  which days were published
  promoted-ctr runs --date 2025-03-14 --format json"""

_STYLES = {"done": "green", "refused": "yellow", "failed": "bold red"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.description = "Show the record of runs, newest first; days made in one go are one line."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--job", choices=[job.name for job in FLOW], metavar="NAME", help="one job")
    parser.add_argument("--date", type=iso_date, metavar="D", help="one log day")
    parser.add_argument("--status", choices=("done", "refused", "failed"), help="one outcome")
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="lines; default 20")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Print the record.

    Raises
    ------
    InputMissing
        Nothing was run yet.
    """
    rows = read_runs(tables)
    if not rows:
        raise InputMissing(f"nothing was run yet in {tables.root}: start with `promoted-ctr run`")
    wanted = {"job": arguments.job, "ds": arguments.date, "status": arguments.status}
    for column, value in wanted.items():
        if value is not None:
            rows = [row for row in rows if row[column] == value]
    lines = attempts(rows)[: max(arguments.limit, 0)]
    if arguments.format == "json":
        sys.stdout.write(json.dumps(lines, indent=1, default=_plain) + "\n")
    elif arguments.format == "csv":
        plain = [{k: _plain(v) if v is not None else "" for k, v in r.items()} for r in lines]
        writer = csv.DictWriter(sys.stdout, fieldnames=list(_COLUMNS), lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
    else:
        _print(console, lines)
    return ExitCode.DONE


_COLUMNS = (
    "started", "run_id", "job", "first_day", "last_day", "days", "status", "exit_code",
    "rows_in", "rows_out", "rows_quarantined", "seconds", "published", "note",
)  # fmt: skip


def attempts(rows: list[Row]) -> list[Row]:
    """One line per job run, newest first: the days made in one go and their totals."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    ended = {(r["run_id"], r["job"], r["ds"]) for r in rows if r["status"] != STARTED}
    for row in rows:
        if row["status"] == STARTED and (row["run_id"], row["job"], row["ds"]) in ended:
            continue
        key = (row["started"], row["run_id"], row["job"], row["status"], row["exit_code"])
        groups.setdefault(key, []).append(row)
    lines = []
    for (started, run_id, job, status, exit_code), group in groups.items():
        days = [row["ds"] for row in group]
        totals = {
            name: sum(known) if (known := [r[name] for r in group if r[name] is not None]) else None
            for name in ("rows_in", "rows_out", "rows_quarantined")
        }
        notes = [str(row["details"].get("error", "")) for row in group]
        notes += [text for row in group for text in row["details"].get("degraded", ())]
        lines.append(
            {
                "started": started,
                "run_id": run_id,
                "job": job,
                "first_day": min(days),
                "last_day": max(days),
                "days": len(set(days)),
                "status": status,
                "exit_code": exit_code,
                **totals,
                "seconds": (max(r["ended"] for r in group) - started).total_seconds(),
                "published": any(row["published"] for row in group),
                "note": "; ".join(dict.fromkeys(text for text in notes if text)),
            }
        )
    order = {job.name: place for place, job in enumerate(FLOW)}
    lines.sort(key=lambda r: (r["started"], order.get(r["job"], -1)), reverse=True)
    return lines


def _print(console: Console, lines: list[Row]) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    for name in ("started", "job", "last day"):
        table.add_column(name, no_wrap=True)
    for name in ("days", "rows out", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    for line in lines:
        table.add_row(
            f"{line['started']:%m-%d %H:%M}",
            line["job"],
            str(line["last_day"]),
            number(line["days"]),
            number(line["rows_out"]),
            seconds(line["seconds"]),
            f"[{_STYLES.get(line['status'], 'default')}]{_status(line)}[/]",
        )
    console.print(table)
    for line in lines:
        refused = line["rows_quarantined"]
        notes = [f"{number(refused)} rows refused"] if refused else []
        notes += [_first_line(line["note"])] if line["note"] else []
        for text in notes:
            note = Text(f"{line['job']} {line['last_day']}: {text}")
            for at, part in enumerate(note.wrap(console, console.width - 4, tab_size=4)):
                console.print(Text("    " if at else "  ") + part, highlight=False)


def _status(line: Row) -> str:
    if line["published"]:
        return "published"
    return f"{line['status']} {line['exit_code']}" if line["exit_code"] else str(line["status"])


def _first_line(text: str) -> str:
    """All of it: what to do often comes last."""
    return text.strip().split("\n")[0]


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else str(value)

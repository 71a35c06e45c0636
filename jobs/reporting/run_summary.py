"""How a run went, for machines: a JSON file beside the reports, and metrics for Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from jobs.planning.record import now
from jobs.reporting.alert_log import read_alerts
from jobs.reporting.judging import Made
from jobs.reporting.pages import write_page
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, exit_code_of
from jobs.setup.problems import said_of
from jobs.setup.stores import open_store
from jobs.storage.reading import OF_PUBLICATIONS, published_days, read_runs
from jobs.storage.tables import Tables

FILE = "run.json"
"""Of the newest run, in the folder of reports."""
_PREFIX = "promoted_ctr"


def tell_machines(tables: Tables, config: Config, made: Made, say: Callable[[str], None]) -> None:
    """Write how a run ended. Never a reason for a run to fail."""
    code = ExitCode.DONE if made.problem is None else exit_code_of(made.problem)
    if code is ExitCode.LOCKED:
        # The run that holds the lock tells how it goes.
        return
    try:
        summary = run_summary(tables, made)
        text = json.dumps(summary, indent=1, sort_keys=True, default=str) + "\n"
        address = config.storage.reports
        if "://" in address:
            import obstore

            obstore.put(open_store(address), FILE, text.encode())
        else:
            write_page(Path(address) / FILE, text)
        if config.alerts.metrics:
            write_page(Path(config.alerts.metrics), "\n".join(metrics(summary)) + "\n")
    except Exception as problem:
        say(f"the summary of the run is not written: {said_of(problem)}")


def run_summary(tables: Tables, made: Made) -> dict[str, Any]:
    """What a run made and how it ended, in plain values."""
    of_run = pc.field("run_id") == made.run_id
    runs = read_runs(tables, of_run | OF_PUBLICATIONS)
    ended = now()
    code = ExitCode.DONE if made.problem is None else exit_code_of(made.problem)
    steps = [_step(row) for row in runs if row["run_id"] == made.run_id]
    # All other days of years of checks are left unread.
    days = sorted({*made.days, *(step["ds"] for step in steps)})
    stored = tables.read_arrow("quality_results", days, columns=["status"], condition=of_run)
    counted = stored["status"].value_counts().to_pylist()
    alerts = [one for one in read_alerts(tables).alerts.values() if one.state == "open"]
    return {
        "run_id": made.run_id,
        "days": [str(day) for day in made.days],
        "exit_code": int(code),
        "problem": None if made.problem is None else said_of(made.problem),
        "began": made.began.isoformat(),
        "ended": ended.isoformat(),
        "seconds": round((ended - made.began).total_seconds(), 3),
        "steps": steps,
        "checks": {one["values"]: one["counts"] for one in counted},
        "open_alerts": {s: sum(a.severity == s for a in alerts) for s in ("page", "ticket")},
        "newest_published_day": max(map(str, published_days(runs)), default=None),
    }


def _step(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("job", "ds", "status", "exit_code", "rows_in", "rows_out", "rows_quarantined")
    seconds = (row["ended"] - row["started"]).total_seconds()
    return {**{name: row[name] for name in names}, "seconds": round(seconds, 3)}


def metrics(summary: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Prometheus' text format, for the textfile collector of its node exporter."""

    def gauge(name: str, text: str, values: Mapping[str, object]) -> Iterator[str]:
        if values:
            yield f"# HELP {_PREFIX}_{name} {text}"
            yield f"# TYPE {_PREFIX}_{name} gauge"
        for labels, value in values.items():
            yield f"{_PREFIX}_{name}{labels} {value}"

    ended = datetime.fromisoformat(summary["ended"]).timestamp()
    yield from gauge("run_exit_code", "How the last run ended.", {"": summary["exit_code"]})
    yield from gauge("run_ended_timestamp_seconds", "When it ended.", {"": round(ended, 3)})
    yield from gauge("run_seconds", "How long it took.", {"": summary["seconds"]})
    if day := summary["newest_published_day"]:
        begins = datetime.combine(date.fromisoformat(day), time.min, UTC).timestamp()
        text = "Beginning of the newest log day that is published."
        yield from gauge("published_day_timestamp_seconds", text, {"": int(begins)})
    # The days of a range are one step, and are recorded with its time each.
    steps = {step["job"]: step for step in summary["steps"]}
    rows = {
        job: sum(s["rows_out"] or 0 for s in summary["steps"] if s["job"] == job) for job in steps
    }
    yield from gauge(
        "step_seconds", "How long each step of it took.",
        {_label("job", job): step["seconds"] for job, step in steps.items()},
    )  # fmt: skip
    yield from gauge(
        "step_rows", "Rows that it wrote.", {_label("job", job): n for job, n in rows.items()}
    )
    yield from gauge(
        "checks", "Checks of it by status.",
        {_label("status", status): n for status, n in sorted(summary["checks"].items())},
    )  # fmt: skip
    yield from gauge(
        "open_alerts", "Alerts that are open.",
        {_label("severity", name): n for name, n in summary["open_alerts"].items()},
    )  # fmt: skip


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{{{name}="{escaped}"}}'

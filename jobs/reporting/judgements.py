"""What the checks, the gates and the run itself have found, for alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow.compute as pc

from jobs import FLOW
from jobs.setup.exits import ExitCode, exit_code_of
from jobs.storage.tables import Tables
from pipelines.quality.alert_settings import AlertSeverities
from pipelines.quality.alerts import Judgement, Problem, Severity
from pipelines.quality.gates import GATE_MARK
from pipelines.quality.rule_files import TableRules
from schemas.catalog import TABLES

Row = Mapping[str, Any]
_WRONG = ("WARN", "FAIL", "ERROR")
_STARTS = "start"
_SLICES = 3

_FIXES = {
    "logs": "compare the landing files of {ds} with those of the day before and `promoted-ctr "
    "quarantine --date {ds}`; mend them, then promoted-ctr run --date {ds}",
    "gates": "read which gate stopped in the report; look for a changed log or setting first; "
    "when it is mended, promoted-ctr run --date {ds}",
    "other": "read the report; promoted-ctr check-quality --date {ds} --table {table} looks again",
}
_NEXT_OF_RUN = {
    ExitCode.UNEXPECTED: "promoted-ctr run --date {ds} --verbose shows the trace; what was made "
    "stays, and a second run goes on from there",
    ExitCode.USAGE: "mend the call, the configuration or the machine as the message says; trying "
    "again does not help",
    ExitCode.INPUT: "see that the file lands whole, then promoted-ctr run --date {ds}",
    ExitCode.QUALITY: "mend what the message names, then promoted-ctr run --date {ds}",
}


def read_results(tables: Tables, run_id: str, since: datetime) -> list[Row]:
    """What a run has judged since then."""
    if not tables.exists("quality_results"):
        return []
    stored = tables.delta("quality_results").to_pyarrow_table(
        filters=[("run_id", "=", run_id), ("checked_at", ">=", since)]
    )
    rows: list[Row] = stored.sort_by([("checked_at", "ascending"), ("ds", "ascending")]).to_pylist()
    return rows


def of_results(
    results: Sequence[Row], rules: Mapping[str, TableRules], severities: AlertSeverities
) -> list[Judgement]:
    """What checks and gates say, by the day and table that they judged.

    Parameters
    ----------
    results : sequence of mapping
        Rows of `quality_results`, the latest of a check last.
    """
    newest = {(r["ds"], r["table"], r["check"], r["slice"]): r for r in results}
    groups: dict[tuple[date, str], dict[str, list[Row]]] = {}
    for (ds, table, check, _), row in newest.items():
        is_gate = check.startswith(GATE_MARK)
        judge = "gates" if is_gate else f"checks of {table}"
        name = f"gate {check.removeprefix(GATE_MARK)}" if is_gate else f"{table}.{check}"
        groups.setdefault((ds, judge), {}).setdefault(name, []).append(row)
    judgements = []
    for (ds, judge), checks in sorted(groups.items()):
        wrong = [
            _of_check(name, judge, bad, rules.get(bad[0]["table"]), severities)
            for name, rows in sorted(checks.items())
            if (bad := [row for row in rows if row["status"] in _WRONG])
        ]
        # A gate that is undecided does not stop: what it stopped is over.
        undecided = [
            name
            for name, rows in checks.items()
            if judge != "gates" and all(row["status"] == "SKIP" for row in rows)
        ]
        judgements.append(Judgement(judge, ds, wrong, undecided))
    return judgements


def _of_check(
    name: str, judge: str, rows: list[Row], rules: TableRules | None, severities: AlertSeverities
) -> Problem:
    first = rows[0]
    is_gate = judge == "gates"
    rule = next((r for r in rules.rule if r.name == first["check"]), None) if rules else None
    stage = TABLES[first["table"]].stage if first["table"] in TABLES else ""
    fix = _FIXES["gates" if is_gate else stage if stage in _FIXES else "other"]
    severity: Severity = getattr(severities, first["severity"])
    return Problem(
        cause=first.get("cause") or ("gates" if is_gate else first["table"]),
        name=name,
        judge=judge,
        first_day=first["ds"],
        ds=first["ds"],
        severity=severity,
        what=f"{name}{_parts(rows)}: {_measured(first)}",
        why="a gate stops scores that are proven wrong" if is_gate else rule.why if rule else "",
        table=first["table"],
        owner=(rule.owner if rule else "") or (rules.owner if rules else ""),
        stops=first["severity"] == "block",
        fix=fix.format(ds=first["ds"], table=first["table"]),
    )


def _parts(rows: Sequence[Row]) -> str:
    parts = [row["slice"] for row in rows if row["slice"]]
    more = f" and {len(parts) - _SLICES} more" if len(parts) > _SLICES else ""
    return f" of {', '.join(parts[:_SLICES])}{more}" if parts else ""


def _measured(row: Row) -> str:
    """How far off."""
    details = row["details"] or ""
    if row["status"] == "ERROR" or row["observed"] is None:
        return details or f"not measured, expected {row['expected']}"
    if row["check"].startswith(GATE_MARK):
        return f"{details}, asked for {row['expected']}"
    said = f"{row['observed']:.6g}, expected {row['expected']}"
    return f"{said} ({details})" if details else said


def of_run(
    problem: Exception | None,
    job: str | None,
    days: Sequence[date],
    severities: AlertSeverities,
    *,
    made: str | None = None,
) -> list[Judgement]:
    """What a run says of itself.

    Parameters
    ----------
    problem : Exception or None
        What stopped it.
    job : str or None
        The job that it stopped in; None before any.
    days : sequence of date
        The days it was to make.
    made : str, optional
        The only job that it was to make; all of them by default.
    """
    last = max(days)
    if problem is None:
        done = [made] if made else [job.name for job in FLOW]
        return [Judgement(f"run of {name}", last) for name in (_STARTS, *done)]
    code = exit_code_of(problem)
    if code in (ExitCode.LOCKED, ExitCode.NOTHING):
        return []
    where = job or _STARTS
    first = str(problem).strip().splitlines()[0] if str(problem).strip() else ""
    told = first or type(problem).__name__
    severity = {ExitCode.INPUT: severities.input, ExitCode.QUALITY: severities.block}.get(
        code, severities.failed
    )
    said = Problem(
        cause="run",
        name=f"run stopped at {where}",
        judge=f"run of {where}",
        first_day=last,
        ds=last,
        severity=severity,
        what=f"the run stopped at {where} (exit code {int(code)}): {told}",
        why="the day's scores are not made",
        stops=True,
        fix=_NEXT_OF_RUN.get(code, "promoted-ctr runs --status failed").format(ds=last),
    )
    return [Judgement(said.judge, last, [said])]


def published_since(tables: Tables, run_id: str, since: datetime) -> list[date]:
    """The days that a run has published since then."""
    rows = tables.read_arrow(
        "runs",
        columns=["run_id", "ds", "ended", "published"],
        condition=(pc.field("run_id") == run_id) & pc.field("published"),
    )
    return sorted({row["ds"] for row in rows.to_pylist() if row["ended"] >= since})

"""What the checks, the gates and the run itself have found, for alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import pyarrow.compute as pc

from jobs import FLOW
from jobs.setup.exits import ExitCode, exit_code_of
from jobs.storage.tables import Tables
from pipelines.quality.alert_settings import AlertSeverities
from pipelines.quality.alerts import Judgement, Problem, Severity
from pipelines.quality.findings import Cause, Finding, findings
from pipelines.quality.gates import GATE_MARK
from pipelines.quality.results import QualityResult
from pipelines.quality.rule_files import TableRules
from schemas.catalog import TABLES

RUN = "run stopped"
_STARTS = "start"
_SLICES = 3

_FIXES = {
    "logs": "compare the landing files of {ds} with those of the day before and `promoted-ctr "
    "quarantine --date {ds}`; mend them, then promoted-ctr run --date {ds}",
    "gates": "read which gate stopped in the report; look for a changed log or setting first; "
    "when it is mended, promoted-ctr run --date {ds}",
    "other": "read the report; promoted-ctr check --date {ds} --table {table} looks again",
}
_NEXT_OF_RUN = {
    ExitCode.UNEXPECTED: "promoted-ctr run --date {ds} --verbose shows the trace; what was made "
    "stays, and a second run goes on from there",
    ExitCode.USAGE: "mend the call, the configuration or the machine as the message says; trying "
    "again does not help",
    ExitCode.INPUT: "see that the file lands whole, then promoted-ctr run --date {ds}",
    ExitCode.QUALITY: "mend what the message names, then promoted-ctr run --date {ds}",
}


def read_results(tables: Tables, run_id: str, since: datetime) -> list[QualityResult]:
    """The newest results of every day of which a run has judged something since then.

    What other runs have said of these days counts too: a step may be a run of its own, and one
    cause shows in several of them.
    """
    if not tables.exists("quality_results"):
        return []
    handle = tables.delta("quality_results")
    judged = handle.to_pyarrow_table(
        columns=["ds"], filters=[("run_id", "=", run_id), ("checked_at", ">=", since)]
    )
    days = pc.unique(judged["ds"]).to_pylist()
    if not days:
        return []
    stored = handle.to_pyarrow_table(filters=[("ds", "in", [str(day) for day in days])])
    return newest_results(QualityResult(**row) for row in stored.sort_by("checked_at").to_pylist())


def newest_results(results: Iterable[QualityResult]) -> list[QualityResult]:
    """What the last run that judged a table's day, or its gates, has said of it.

    Parameters
    ----------
    results : iterable of QualityResult
        The latest last.
    """
    newest = {(r.ds, r.table, r.check, r.slice): r for r in results}
    runs = {(r.ds, _judge(r)): r.run_id for r in newest.values()}
    for result in sorted(newest.values(), key=lambda r: r.checked_at):
        runs[result.ds, _judge(result)] = result.run_id
    return [r for r in newest.values() if r.run_id == runs[r.ds, _judge(r)]]


def of_results(
    results: Sequence[QualityResult],
    rules: Mapping[str, TableRules],
    causes: Mapping[str, Cause],
    severities: AlertSeverities,
) -> list[Judgement]:
    """What checks and gates say, by the day and the table that they judged."""
    open_names: dict[tuple[date, str], set[str]] = {}
    decided: dict[tuple[date, str], set[str]] = {}
    for result in results:
        key = (result.ds, _judge(result))
        # A gate that is undecided does not stop: what it stopped is over.
        is_open = result.status == "SKIP" and not _is_gate(result)
        (open_names if is_open else decided).setdefault(key, set()).add(_name(result))
    found: dict[tuple[date, str], dict[str, Problem]] = {}
    for finding in findings(results, causes):
        checks: dict[tuple[str, str], list[QualityResult]] = {}
        for result in (*finding.results, *finding.consequences):
            checks.setdefault((_judge(result), _name(result)), []).append(result)
        for (judge, name), broken in checks.items():
            told = _of_check(finding, broken, rules.get(broken[0].table), severities)
            found.setdefault((finding.ds, judge), {})[name] = told
    return [
        Judgement(
            judge,
            ds,
            list(found.get((ds, judge), {}).values()),
            open_names.get((ds, judge), set()) - decided.get((ds, judge), set()),
        )
        for ds, judge in sorted({*open_names, *decided})
    ]


def _is_gate(result: QualityResult) -> bool:
    return result.check.startswith(GATE_MARK)


def _judge(result: QualityResult) -> str:
    return "gates" if _is_gate(result) else f"checks of {result.table}"


def _name(result: QualityResult) -> str:
    if _is_gate(result):
        return f"gate {result.check.removeprefix(GATE_MARK)}"
    return f"{result.table}.{result.check}"


def _of_check(
    finding: Finding,
    broken: Sequence[QualityResult],
    rules: TableRules | None,
    severities: AlertSeverities,
) -> Problem:
    first, name = broken[0], _name(broken[0])
    rule = next((r for r in rules.rule if r.name == first.check), None) if rules else None
    stage = TABLES[first.table].stage if first.table in TABLES else ""
    fix = _FIXES["gates" if _is_gate(first) else stage if stage in _FIXES else "other"]
    severity: Severity = getattr(severities, first.severity)
    gate_why = "a gate stops scores that are proven wrong" if _is_gate(first) else ""
    return Problem(
        cause=finding.cause,
        name=name,
        judge=_judge(first),
        first_day=first.ds,
        ds=first.ds,
        severity=severity,
        what=f"{name}{_parts(broken)}: {_measured(first)}",
        why=rule.why if rule else gate_why,
        table=first.table,
        owner=(rule.owner if rule else "") or (rules.owner if rules else ""),
        stops=first.severity == "block",
        fix=finding.do or fix.format(ds=first.ds, table=first.table),
    )


def _parts(broken: Sequence[QualityResult]) -> str:
    parts = [result.slice for result in broken if result.slice]
    more = f" and {len(parts) - _SLICES} more" if len(parts) > _SLICES else ""
    return f" of {', '.join(parts[:_SLICES])}{more}" if parts else ""


def _measured(result: QualityResult) -> str:
    """How far off."""
    if _is_gate(result) and result.status != "ERROR" and result.observed is not None:
        return f"{result.details or ''}, asked for {result.expected}"
    return result.told


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
        cause=RUN,
        name=f"{RUN} at {where}",
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

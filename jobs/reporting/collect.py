"""What the report of a day says, gathered from the tables through delta-rs: no Spark needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow.compute as pc

from jobs import FLOW
from jobs.planning.publications import decision_of
from jobs.reporting.alert_listing import told_alerts
from jobs.reporting.empty_features import empty_features
from jobs.reporting.expectations import documents
from jobs.reporting.score_summary import score_summary
from jobs.setup.config import Config
from jobs.storage.reading import PUBLISH_JOB, Row, published_days, read_rows, read_runs
from jobs.storage.tables import Tables
from pipelines.models.judged import MetricRow, ReliabilityRow
from pipelines.quality.gates import GATE_MARK
from pipelines.quality.report_data import (
    Check,
    Completeness,
    DayTraffic,
    Quarantined,
    Remark,
    ReportData,
    RunStep,
    Window,
)

_GATE_WORDS = {
    "PASS": "passed",
    "SKIP": "could not be judged",
    "FAIL": "failed",
}
_COMPLETENESS_DAYS = 8


def collect_report(tables: Tables, config: Config, ds: date) -> ReportData:
    """Gather the report of day `ds` as the tables stand now.

    Parts whose tables are not there yet stay empty, so that a run that stopped early has its
    report too.
    """
    runs = read_runs(tables)
    newest = {row["job"]: row for row in runs if row["ds"] == ds}
    run_id = max(newest.values(), key=lambda row: row["ended"])["run_id"] if newest else ""
    checks, gates = _checks(tables, ds, newest)
    published = bool(newest.get(PUBLISH_JOB, {}).get("published"))
    served = published_days(runs)
    last = newest.get(PUBLISH_JOB) or max(newest.values(), key=lambda r: r["ended"], default={})
    threshold = read_rows(
        tables, "ensemble_weights", [ds - timedelta(days=1)],
        condition=pc.field("term") == "cold_threshold", columns=["weight"],
    )  # fmt: skip
    return ReportData(
        ds=ds,
        run_id=run_id,
        published=published,
        verdict=_verdict(newest, gates, served[-1] if served else None, published=published),
        served_day=served[-1] if served else None,
        code_version=last.get("code_version", ""),
        config_hash=last.get("config_hash", ""),
        steps=_steps(runs, newest, run_id),
        metrics=_metrics(tables, ds),
        reliability=_reliability(tables, ds),
        traffic=_traffic(tables, config, ds),
        windows=_windows(tables, config, ds),
        completeness=_completeness(runs, ds),
        checks=checks,
        gates=gates,
        degraded=_degraded(newest) + empty_features(tables, config, ds),
        scores=score_summary(tables, ds),
        cold_threshold=int(threshold[0]["weight"]) if threshold else None,
        versions={t: v for row in newest.values() for t, v in row["versions_out"].items()},
        documents=_documents(config, ds),
        alerts=told_alerts(tables),
        **_quarantine(tables, ds),
    )


def _verdict(
    newest: Mapping[str, Row], gates: Sequence[Check], served: date | None, *, published: bool
) -> str:
    made = newest.get(PUBLISH_JOB)
    stays = f" Consumers go on reading the scores of {served}." if served else ""
    if made is not None and (decision := decision_of(made["details"])):
        return _sentence(str(decision)) + ("" if published else stays)
    if published:
        counts = Counter(gate.status for gate in gates)
        if counts["PASS"] == len(gates):
            return f"All {len(gates)} gates passed." if gates else "No gate stood in the way."
        counted = [
            f"{counts[status]} {words}" for status, words in _GATE_WORDS.items() if counts[status]
        ]
        return f"Of {len(gates)} gates {', '.join(counted)}."
    if made is not None:
        error = made["details"].get("error")
        failed = [
            f"gate {g.name} failed: {g.details}, asked for {g.expected}"
            for g in gates
            if g.status in ("FAIL", "ERROR")
        ]
        reason = "; ".join(failed) or error or "the publish step refused"
        return _sentence(str(reason)) + stays
    stopped = [row for row in newest.values() if row["status"] != "done"]
    if stopped:
        last = max(stopped, key=lambda row: row["ended"])
        error = last["details"].get("error")
        why = f": {error}".rstrip(".") if error else ""
        return f"{last['job']} {last['status']} (exit code {last['exit_code']}){why}." + stays
    if newest:
        return "The run has not reached publishing." + stays
    return "Nothing was run for this day." + stays


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _steps(runs: Sequence[Row], newest: Mapping[str, Row], run_id: str) -> list[RunStep]:
    order = [job.name for job in FLOW]
    known = [name for name in order if name in newest]
    steps = []
    for name in [*known, *sorted(set(newest) - set(order))]:
        row = newest[name]
        made = [r for r in runs if (r["run_id"], r["job"]) == (row["run_id"], name)]
        together = [r for r in made if r["started"] == row["started"]]
        days = [r["ds"] for r in together]
        ended = max(r["ended"] for r in together)
        steps.append(
            RunStep(
                job=name,
                run_id=row["run_id"],
                status=row["status"],
                exit_code=row["exit_code"],
                days=len(set(days)),
                first_day=min(days),
                last_day=max(days),
                rows_in=_total(together, "rows_in"),
                rows_out=_total(together, "rows_out"),
                rows_quarantined=_total(together, "rows_quarantined"),
                seconds=(ended - row["started"]).total_seconds(),
                own=row["run_id"] == run_id,
            )
        )
    return steps


def _total(rows: Sequence[Row], column: str) -> int | None:
    known = [row[column] for row in rows if row[column] is not None]
    return sum(known) if known else None


def _metrics(tables: Tables, ds: date) -> list[MetricRow]:
    rows = read_rows(tables, "model_metrics", [ds])
    rows.sort(key=lambda r: (r["model"], r["segment"], r["metric"]))
    return [MetricRow(**{k: v for k, v in row.items() if k != "ds"}) for row in rows]


def _reliability(tables: Tables, ds: date) -> list[ReliabilityRow]:
    rows = read_rows(tables, "reliability", [ds])
    rows.sort(key=lambda r: (r["model"], r["segment"], r["bin"]))
    return [ReliabilityRow(**{k: v for k, v in row.items() if k != "ds"}) for row in rows]


def _traffic(tables: Tables, config: Config, ds: date) -> list[DayTraffic]:
    days = [ds - timedelta(days=back) for back in range(config.history.window_days)]
    columns = ["ds", "surface", "impressions", "clicks"]
    rows = read_rows(tables, "sampling_rates", days, columns=columns)
    return [DayTraffic(**row) for row in sorted(rows, key=lambda r: (r["ds"], r["surface"]))]


def _windows(tables: Tables, config: Config, ds: date) -> list[Window]:
    history, training, ensemble = config.history, config.training, config.ensemble
    asked = (
        ("history, search", "counts behind the day’s features, to the day before",
         "entity_counts", history.search_days, 1),
        ("history, promoted", "counts behind the day’s features, to the day before",
         "entity_counts", history.promoted_days, 1),
        ("training, search", "days the models learn from", "features", training.search_days, 0),
        ("training, promoted", "days the models learn from", "features", training.promoted_days, 0),
        ("ensemble and calibration", "out-of-time predictions they learn from",
         "predictions", ensemble.days, 0),
    )  # fmt: skip
    days_of = {table: frozenset(tables.days(table)) for table in {a[2] for a in asked}}
    windows = []
    for name, what, table, days, back in asked:
        last = ds - timedelta(days=back)
        windows.append(Window(name, what, last - timedelta(days=days - 1), last, days_of[table]))
    return windows


def _completeness(runs: Sequence[Row], ds: date) -> list[Completeness]:
    known = {
        row["ds"]: row["details"]
        for row in runs
        if row["job"] == "label_impressions" and "clicks_in_time" in row["details"]
    }
    days = [ds - timedelta(days=back) for back in range(_COMPLETENESS_DAYS - 1, -1, -1)]
    return [
        Completeness(day, known[day]["clicks_in_time"], known[day]["clicks_late"])
        for day in days
        if day in known
    ]


def _quarantine(tables: Tables, ds: date) -> dict[str, Any]:
    rows = read_rows(tables, "quarantine", [ds], columns=["log", "reasons"])
    reasons = Counter((row["log"], reason) for row in rows for reason in row["reasons"])
    ordered = sorted(reasons.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return {
        "quarantine": [Quarantined(log, reason, count) for (log, reason), count in ordered],
        "quarantined_rows": dict(sorted(Counter(row["log"] for row in rows).items())),
    }


def _checks(tables: Tables, ds: date, newest: Mapping[str, Row]) -> tuple[list[Check], list[Check]]:
    """The newest result of every check of the day, and what its gates last said."""
    rows = read_rows(tables, "quality_results", [ds])
    rows.sort(key=lambda r: r["checked_at"])
    publishing = newest.get(PUBLISH_JOB, {}).get("run_id")
    checks, gates = {}, {}
    for row in rows:
        check = Check(**{k: v for k, v in row.items() if k in Check.__dataclass_fields__})
        gate = check.check.removeprefix(GATE_MARK)
        if gate == check.check:
            checks[check.table, check.check, check.slice] = check
        elif row["run_id"] == publishing:
            gates[gate, check.slice] = replace(check, check=gate)
    return [c for _, c in sorted(checks.items())], [g for _, g in sorted(gates.items())]


def _documents(config: Config, ds: date) -> str:
    page = documents(config, ds)
    return page.relative_to(config.storage.reports).as_posix() if page.is_file() else ""


def _degraded(newest: Mapping[str, Row]) -> list[Remark]:
    order = {job.name: place for place, job in enumerate(FLOW)}
    return [
        Remark(name, text)
        for name, row in sorted(newest.items(), key=lambda item: order.get(item[0], len(order)))
        for text in dict.fromkeys(row["details"].get("degraded", ()))
    ]

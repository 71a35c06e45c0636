"""What the report of a day says, gathered from the tables through delta-rs: no Spark needed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import FLOW
from jobs.runtime.config import Config
from jobs.runtime.tables import Tables, day_condition
from pipelines.quality.report_data import (
    Check,
    Completeness,
    DayTraffic,
    Metric,
    Quarantined,
    ReliabilityBin,
    Remark,
    ReportData,
    RunStep,
    ScoreRow,
    Scores,
    Window,
)

Row = dict[str, Any]

PUBLISH_JOB = "publish_scores"
_GATE_WORDS = {
    "PASS": "passed",
    "WARN": "warned",
    "SKIP": "could not be judged",
    "FAIL": "failed",
}
_TOP_ROWS = 10
_HISTOGRAM_BINS = 48
_COMPLETENESS_DAYS = 8
_QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


def read_where(
    tables: Tables,
    name: str,
    days: Sequence[date],
    condition: pc.Expression | None = None,
    columns: Sequence[str] | None = None,
    *,
    version: int | None = None,
) -> pa.Table | None:
    """Read the rows of days that meet a condition; None where the table is not there.

    `version` is the Delta version to read; the newest by default.
    """
    if not tables.exists(name):
        return None
    handle = tables.delta(name)
    if version is not None and version != handle.version():
        handle.load_as_version(version)
    dataset = handle.to_pyarrow_dataset(file_pruning_predicate=day_condition(days))
    return dataset.to_table(filter=condition, columns=list(columns) if columns else None)


def read_rows(tables: Tables, name: str, days: Sequence[date], **more: Any) -> list[Row]:
    """`read_where` as dictionaries; [] where the table is not there."""
    found = read_where(tables, name, days, **more)
    return [] if found is None else found.to_pylist()


def read_runs(tables: Tables) -> list[Row]:
    """Every row of `runs`, oldest first, its JSON columns decoded; [] where there are none."""
    if not tables.exists("runs"):
        return []
    order = [("ended", "ascending"), ("job", "ascending"), ("ds", "ascending")]
    rows: list[Row] = tables.read_arrow("runs").sort_by(order).to_pylist()
    for row in rows:
        for column in ("versions_in", "versions_out", "details"):
            row[column] = json.loads(row[column] or "{}")
    return rows


def published_days(runs: Sequence[Row]) -> list[date]:
    """The days whose scores consumers may read, ascending."""
    return sorted({row["ds"] for row in runs if row["job"] == PUBLISH_JOB and row["published"]})


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
        degraded=_degraded(newest),
        scores=_scores(tables, ds),
        cold_threshold=int(threshold[0]["weight"]) if threshold else None,
        versions={t: v for row in newest.values() for t, v in row["versions_out"].items()},
        **_quarantine(tables, ds),
    )


def _verdict(
    newest: Mapping[str, Row], gates: Sequence[Check], served: date | None, *, published: bool
) -> str:
    made = newest.get(PUBLISH_JOB)
    stays = f" Consumers go on reading the scores of {served}." if served else ""
    if published:
        counts = Counter(gate.status for gate in gates)
        if counts["PASS"] == len(gates):
            return f"All {len(gates)} gates passed." if gates else "No gate stood in the way."
        told = [
            f"{counts[status]} {words}" for status, words in _GATE_WORDS.items() if counts[status]
        ]
        return f"Of {len(gates)} gates {', '.join(told)}."
    if made is not None:
        told = made["details"].get("error")
        failed = [g.details or g.check for g in gates if g.status in ("FAIL", "ERROR")]
        reason = "; ".join(failed) or told or "the publish step refused"
        return f"{str(reason).rstrip('.')}." + stays
    stopped = [row for row in newest.values() if row["status"] != "done"]
    if stopped:
        last = max(stopped, key=lambda row: row["ended"])
        told = last["details"].get("error")
        why = f": {told}".rstrip(".") if told else ""
        return f"{last['job']} {last['status']} (exit code {last['exit_code']}){why}." + stays
    if newest:
        return "The run has not reached publishing." + stays
    return "Nothing was run for this day." + stays


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


def _metrics(tables: Tables, ds: date) -> list[Metric]:
    rows = read_rows(tables, "model_metrics", [ds])
    rows.sort(key=lambda r: (r["model"], r["segment"], r["metric"]))
    return [Metric(**{k: v for k, v in row.items() if k != "ds"}) for row in rows]


def _reliability(tables: Tables, ds: date) -> list[ReliabilityBin]:
    rows = read_rows(tables, "reliability", [ds])
    rows.sort(key=lambda r: (r["model"], r["segment"], r["bin"]))
    return [ReliabilityBin(**{k: v for k, v in row.items() if k != "ds"}) for row in rows]


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
    held = {table: frozenset(tables.days(table)) for table in {a[2] for a in asked}}
    windows = []
    for name, what, table, days, back in asked:
        last = ds - timedelta(days=back)
        windows.append(Window(name, what, last - timedelta(days=days - 1), last, held[table]))
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
    """The newest result of every check of the day: checks of tables, and publish gates."""
    rows = read_rows(tables, "quality_results", [ds])
    rows.sort(key=lambda r: r["checked_at"])
    latest = {(r["table"], r["check"], r["slice"]): r for r in rows}
    keep = Check.__dataclass_fields__
    checks = [Check(**{k: v for k, v in r.items() if k in keep}) for _, r in sorted(latest.items())]
    judged = newest.get(PUBLISH_JOB, {}).get("details", {}).get("gates", ())
    gates = [
        Check("listing_scores", g["name"], "", "block", g["status"], g["observed"], g["expected"],
              details=g["details"])
        for g in judged
    ]  # fmt: skip
    return checks, gates


def _degraded(newest: Mapping[str, Row]) -> list[Remark]:
    order = {job.name: place for place, job in enumerate(FLOW)}
    return [
        Remark(name, text)
        for name, row in sorted(newest.items(), key=lambda item: order.get(item[0], len(order)))
        for text in dict.fromkeys(row["details"].get("degraded", ()))
    ]


def _scores(tables: Tables, ds: date) -> Scores:
    table = read_where(
        tables, "listing_scores", [ds],
        columns=["listing_id", "p_click", "p_historical", "p_content", "segment",
                 "window_impressions", "standard_error", "model_as_of"],
    )  # fmt: skip
    if table is None or not table.num_rows:
        return Scores()
    p_click = table["p_click"].to_numpy()
    segments = table["segment"].to_numpy(zero_copy_only=False)
    low, high = np.log10(p_click.min()), np.log10(p_click.max())
    middle, half = (low + high) / 2, max((high - low) / 2, 0.05) * 1.02
    edges = np.logspace(middle - half, middle + half, _HISTOGRAM_BINS + 1)
    parts = {str(name): p_click[segments == name] for name in sorted(set(segments))}
    cold = table.filter(pc.equal(table["segment"], "cold"))
    return Scores(
        count=table.num_rows,
        by_segment={name: len(values) for name, values in parts.items()},
        model_as_of=table["model_as_of"][0].as_py(),
        edges=edges.tolist(),
        histogram={n: np.histogram(v, edges)[0].tolist() for n, v in parts.items()},
        quantiles={n: np.quantile(v, _QUANTILES).tolist() for n, v in parts.items()},
        top=top_scores(tables, table, ds, _TOP_ROWS),
        top_cold=top_scores(tables, cold, ds, _TOP_ROWS),
    )


def top_scores(tables: Tables, scores: pa.Table, ds: date, limit: int) -> list[ScoreRow]:
    """The highest p_click first, ties by listing id, with the day's titles."""
    order = [("p_click", "descending"), ("listing_id", "ascending")]
    chosen = scores.take(pc.select_k_unstable(scores, limit, order)).sort_by(order)
    wanted = pc.field("listing_id").isin(chosen["listing_id"].combine_chunks())
    named = read_rows(tables, "listings", [ds], condition=wanted, columns=["listing_id", "title"])
    titles = {row["listing_id"]: row["title"] for row in named}
    keep = set(ScoreRow.__dataclass_fields__) - {"title"}
    return [
        ScoreRow(title=titles.get(row["listing_id"], ""), **{k: row[k] for k in keep})
        for row in chosen.to_pylist()
    ]

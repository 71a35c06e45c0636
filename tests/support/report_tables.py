"""A small warehouse with plausible contents, for what reads tables: the report and the commands."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from jobs import FLOW
from jobs.storage.tables import Tables

DS = date(2025, 3, 14)
RUN_ID = "run-1"
Row = dict[str, Any]

BASES: dict[str, Row] = {
    "runs": {
        "run_id": RUN_ID,
        "job": "ingest_logs",
        "ds": DS,
        "status": "done",
        "exit_code": 0,
        "started": datetime(2025, 3, 15, 3, 0, tzinfo=UTC),
        "ended": datetime(2025, 3, 15, 3, 1, tzinfo=UTC),
        "rows_in": 1200,
        "rows_out": 1190,
        "rows_quarantined": 10,
        "fingerprint": "f1",
        "config_hash": "c0ffee",
        "code_version": "0.1.0",
        "versions_in": "{}",
        "versions_out": "{}",
        "published": False,
        "details": "{}",
    },
    "model_metrics": {
        "model": "published",
        "segment": "mixed",
        "metric": "auc",
        "value": 0.7,
        "low": None,
        "high": None,
        "rows": 60000,
        "clicks": 580,
        "baseline": None,
        "reason": None,
        "ds": DS,
    },
    "listing_scores": {
        "listing_id": "l1",
        "p_click": 0.01,
        "logit": -4.0,
        "p_historical": 0.011,
        "p_content": 0.009,
        "p_ensemble": 0.0105,
        "p_joint": 0.0106,
        "segment": "warm",
        "window_impressions": 300,
        "standard_error": 0.2,
        "model_as_of": DS,
        "run_id": "f1",
        "ds": DS,
    },
    "listings": {
        "listing_id": "l1",
        "shop_id": "s1",
        "title": "Hand thrown mug, blue",
        "tags": ["mug", "blue"],
        "category": "home > kitchen > mugs",
        "price": 24.0,
        "quantity": 3,
        "created_ts": datetime(2025, 1, 2, tzinfo=UTC),
        "is_promoted": True,
        "image_vector": None,
        "attributes": None,
        "ds": DS,
    },
    "quality_results": {
        "run_id": RUN_ID,
        "table": "impressions",
        "check": "keys_unique",
        "slice": "",
        "severity": "block",
        "status": "PASS",
        "observed": 0.0,
        "expected": "0 duplicates",
        "baseline": None,
        "rows": 1190,
        "details": None,
        "checked_at": datetime(2025, 3, 15, 3, 1, tzinfo=UTC),
        "ds": DS,
    },
}


def row(table: str, /, **changes: Any) -> Row:
    """The base row of a table with some values changed."""
    return BASES[table] | changes


def config(reports: str = "reports") -> SimpleNamespace:
    """The parts of the configuration that reading needs."""
    return SimpleNamespace(
        storage=SimpleNamespace(reports=reports, project=""),
        quality=SimpleNamespace(great_expectations=False),
        history=SimpleNamespace(search_days=14, promoted_days=30, window_days=30),
        training=SimpleNamespace(search_days=14, promoted_days=30),
        ensemble=SimpleNamespace(days=7),
        calibration=SimpleNamespace(fields=("segment", "device", "shop")),
        features=SimpleNamespace(more=()),
        joint=SimpleNamespace(more=()),
    )


def write_runs(
    tables: Tables,
    *,
    published: bool = True,
    stop_at: str | None = None,
    details: Mapping[str, Row] | None = None,
) -> None:
    """One record per job of the flow, up to `stop_at`, which failed."""
    told = {
        "label_impressions": {"clicks_in_time": 980, "clicks_late": 20},
    } | dict(details or {})
    rows: list[Row] = []
    start = BASES["runs"]["started"]
    for place, job in enumerate(FLOW):
        ended = start + timedelta(seconds=2.5 + 1.7 * (place % 5))
        is_last = job.name == stop_at
        refused = job.name == "publish_scores" and not published
        failed = {"status": "refused", "exit_code": 10} if refused or is_last else {}
        rows.append(
            row(
                "runs",
                job=job.name,
                started=start,
                ended=ended,
                rows_in=120_000 if place else None,
                rows_out=118_000 - 7_000 * place,
                rows_quarantined=37 if place == 0 else None,
                published=published and job.name == "publish_scores" and not failed,
                versions_out=json.dumps(
                    {t: tables.version(t) if tables.exists(t) else place for t in job.writes}
                ),
                details=json.dumps(told.get(job.name, {})),
                **failed,
            )
        )
        start = ended
        if is_last:
            break
    tables.write_rows("runs", rows, None)


def write_gates(tables: Tables, *, run_id: str = RUN_ID, **changes: str) -> None:
    """Publish gates as the publish step records them; `name=status` changes one."""
    names = ("coverage", "evaluation", "calibration_ratio", "normalized_entropy")
    gates = [
        row("quality_results", run_id=run_id, table="listing_scores", check=f"gate:{name}",
            status=changes.get(name, "PASS"), observed=1.02, expected="0.8 to 1.25",
            details=f"{name} is 1.02")
        for name in names
    ]  # fmt: skip
    tables.write_rows("quality_results", gates, None)


def write_evaluation(tables: Tables) -> None:
    """Metrics and reliability with the shape of the paper: content loses on warm, wins on cold."""
    auc = {"historical": (1.5, 1.8, 1.5), "content": (-1.4, 6.1, -1.6), "ensemble": (1.9, 7.9, 1.8)}
    auc["published"] = auc["ensemble"]
    metrics: list[Row] = []
    size = {"mixed": (60000, 580), "cold": (2700, 17), "warm": (57300, 563)}
    for model, lifts in auc.items():
        for lift, (segment, (rows, clicks)) in zip(lifts, size.items(), strict=True):
            wide = 2.5 if segment == "cold" else 0.8
            found = {
                "auc": (0.68 + lift / 100, 0.02),
                "normalized_entropy": (0.955 - lift / 300, 0.01),
                "log_loss": (0.053 - lift / 5000, 0.002),
                "calibration_ratio": (1.013, 0.08),
                "auc_difference": (lift / 100, wide / 100),
                "log_loss_difference": (-lift / 5000, wide / 6000),
                "normalized_entropy_difference": (-lift / 300, wide / 400),
            }
            metrics += [
                row(
                    "model_metrics",
                    model=model,
                    segment=segment,
                    metric=name,
                    value=value,
                    low=value - half,
                    high=value + half,
                    rows=rows,
                    clicks=clicks,
                    baseline="baseline" if name.endswith("difference") else None,
                )
                for name, (value, half) in found.items()
            ]
    tables.write_rows("model_metrics", metrics, [DS])
    tables.write_rows("reliability", _bins(), [DS])


def _bins() -> list[Row]:
    bins: list[Row] = []
    for segment, count, rows in (("mixed", 20, 3000), ("cold", 8, 340), ("warm", 20, 2865)):
        for place in range(count):
            expected = 0.0012 * 1.25 ** (place * 20 / count)
            clicks = round(rows * expected * (1 + 0.25 * math.sin(3 * place)))
            observed = clicks / rows
            half = 1.96 * math.sqrt((observed + 1 / rows) / rows)
            bins.append(
                {
                    "model": "published",
                    "segment": segment,
                    "bin": place,
                    "expected": expected,
                    "observed": observed,
                    "low": max(0.0, observed - half),
                    "high": observed + half,
                    "rows": rows,
                    "ds": DS,
                }
            )
    return bins


def write_traffic(tables: Tables, *, days: int = 20, missing: int = 4) -> None:
    """Sampling rates and counts of `days` days to DS; the day `missing` days back is not there."""
    held = [DS - timedelta(days=back) for back in range(days - 1, -1, -1) if back != missing]
    rates = [
        {
            "surface": surface,
            "impressions": shown + 900 * (day.weekday() - 3),
            "clicks": round(share * shown * (1 + 0.03 * day.weekday())),
            "non_click_rate": 0.05,
            "ds": day,
        }
        for day in held
        for surface, share, shown in (("search", 0.021, 71_000), ("promoted", 0.0097, 60_000))
    ]
    tables.write_rows("sampling_rates", rates, held)
    counts = [
        {
            "entity_type": "position",
            "entity_id": "1",
            "surface": "promoted",
            "impressions": 10,
            "clicks": 1,
            "expected_clicks_micro": 1_000_000,
            "ds": day,
        }
        for day in held
    ]
    tables.write_rows("entity_counts", counts, held)


def write_scores(tables: Tables, *, listings: int = 400) -> None:
    """Scores and listings: l000 is the highest, every tenth is cold."""
    nouns = ("mug", "print", "necklace", "quilt", "lamp")
    scores, named = [], []
    for place in range(listings):
        quantile = (place + 0.5) / listings
        logit = -4.6 - 0.8 * math.log(quantile / (1 - quantile)) / 1.7
        p_click = 1 / (1 + math.exp(-logit))
        cold = place % 10 == 7
        listing_id = f"l{place:03d}"
        scores.append(
            row(
                "listing_scores",
                listing_id=listing_id,
                p_click=p_click * (0.7 if cold else 1.0),
                logit=logit,
                p_historical=p_click * 1.05,
                p_content=p_click * 0.9,
                segment="cold" if cold else "warm",
                window_impressions=3 if cold else 40 + 13 * place,
                standard_error=0.5 if cold else 0.2,
            )
        )
        title = f"Hand made {nouns[place % 5]}, number {place}"
        named.append(row("listings", listing_id=listing_id, title=title))
    tables.write_rows("listing_scores", scores, [DS])
    tables.write_rows("listings", named, [DS])


def write_quality(tables: Tables) -> None:
    """Checks of which one warns and one had failed before, and refused rows of two logs."""
    checks = [
        row("quality_results"),
        row("quality_results", check="null_rate", slice="device", severity="warn", status="WARN",
            observed=0.12, expected="<= 0.05", details="device is null in 12 % of the rows"),
        row("quality_results", table="listing_scores", check="coverage", observed=1.0,
            expected=">= 0.99"),
        row("quality_results", run_id="run-0", status="FAIL", observed=3.0,
            checked_at=BASES["quality_results"]["checked_at"] - timedelta(hours=1)),
    ]  # fmt: skip
    tables.write_rows("quality_results", checks, [DS])
    refused = [
        {"log": log, "raw": "{}", "reasons": reasons, "run_id": RUN_ID, "ds": DS}
        for log, reasons, times in (
            ("impressions", ["null_key"], 12),
            ("impressions", ["bad_timestamp", "position_below_1"], 20),
            ("clicks", ["click_without_impression"], 5),
        )
        for _ in range(times)
    ]
    tables.write_rows("quarantine", refused, [DS])


def write_day(tables: Tables, **runs: Any) -> None:
    """A whole day: runs, evaluation, traffic, scores, quality."""
    write_runs(tables, **runs)
    write_evaluation(tables)
    write_traffic(tables)
    write_scores(tables)
    write_quality(tables)
    write_gates(tables)

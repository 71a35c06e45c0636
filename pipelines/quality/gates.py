"""Publish gates: whether a day's scores may replace the ones that consumers read.

Pure functions over rows of `model_metrics`. A gate stops publication only when it fails; what
cannot be judged is skipped with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.models.judged import (
    CALIBRATION_RATIO,
    DIFFERENCE,
    EXPECTED_CLICKS,
    FIELD_MARK,
    NORMALIZED_ENTROPY,
)
from pipelines.parameters import Count, Parameters, Positive, ShareOrAll

GateStatus = Literal["PASS", "WARN", "FAIL", "SKIP"]
MetricRow = Mapping[str, Any]

ENTROPY_DIFFERENCE = NORMALIZED_ENTROPY + DIFFERENCE


@dataclass(frozen=True, kw_only=True)
class GateLimits(Parameters):
    """Limits of the gates: section `publish` of the configuration.

    Attributes
    ----------
    model : str
        Model in `model_metrics` whose probabilities are published.
    require_evaluation : bool
        Whether scores of models that no day has judged yet are refused.
    min_judged_clicks : int
        Clicks from which ratio and normalized entropy are judged.
    min_ratio, max_ratio : float
        Bounds of the calibration ratio, predicted over observed clicks, over all traffic.
    min_field_ratio, max_field_ratio : float
        The same of a field value.
    min_field_clicks : float
        Expected clicks from which a field value is judged by itself.
    max_normalized_entropy : float
        Must not be reached; 1 is as good as the mean click rate.
    min_coverage : float
        Least share of the live promoted listings that have a score.
    """

    model: str
    require_evaluation: bool
    min_judged_clicks: Count
    min_ratio: Positive
    max_ratio: Positive
    min_field_ratio: Positive
    max_field_ratio: Positive
    min_field_clicks: Positive
    max_normalized_entropy: Positive
    min_coverage: ShareOrAll


@dataclass(frozen=True)
class GateResult:
    """What a gate says."""

    name: str
    status: GateStatus
    observed: float | None
    expected: str
    details: str


def gates(
    rows: Sequence[MetricRow], coverage: float | None, limits: GateLimits
) -> list[GateResult]:
    """Judge whether a day's scores may be published.

    Parameters
    ----------
    rows : sequence of mapping
        The day's rows of `model_metrics`.
    coverage : float or None
        Share of the live promoted listings that have a score; None where there is no listing.
    limits : GateLimits

    Returns
    -------
    list of GateResult
        One per gate; field values that pass are summed up in one.
    """
    overall = _find(rows, limits.model, "mixed", CALIBRATION_RATIO)
    results = [coverage_gate(coverage, limits), evaluation_gate(overall, limits)]
    if overall is None or overall["rows"] == 0:
        return results
    return [
        *results,
        ratio_gate(overall, limits),
        entropy_gate(_find(rows, limits.model, "mixed", NORMALIZED_ENTROPY), limits),
        baseline_gate(_find(rows, limits.model, "mixed", ENTROPY_DIFFERENCE), limits),
        *field_gates(rows, limits),
    ]


def failures(results: Sequence[GateResult]) -> list[GateResult]:
    """Gates that stop publication."""
    return [result for result in results if result.status == "FAIL"]


def coverage_gate(coverage: float | None, limits: GateLimits) -> GateResult:
    """Ask for a score of nearly every live promoted listing."""
    expected = f">= {limits.min_coverage:g}"
    if coverage is None:
        reason = "there is no live promoted listing to score"
        return GateResult("coverage", "FAIL", None, expected, reason)
    status: GateStatus = "PASS" if coverage >= limits.min_coverage else "FAIL"
    details = f"{coverage:.2%} of the live promoted listings have a score"
    return GateResult("coverage", status, coverage, expected, details)


def evaluation_gate(overall: MetricRow | None, limits: GateLimits) -> GateResult:
    """Ask that the models were judged on traffic that they had not learnt from."""
    rows = 0 if overall is None else int(overall["rows"])
    expected = "rows > 0" if limits.require_evaluation else "recorded only"
    if rows > 0 and overall is not None:
        details = f"judged on {rows} impressions and {overall['clicks']} clicks"
        return GateResult("evaluation", "PASS", float(rows), expected, details)
    why = (
        "no traffic was judged out of time: that takes weights, an ensemble and a calibration map "
        "made on earlier days"
    )
    if limits.require_evaluation:
        details = (
            f"{why}. Load earlier days and run again, or publish scores that nothing has judged "
            "by setting publish.require_evaluation = false"
        )
        return GateResult("evaluation", "FAIL", 0.0, expected, details)
    details = f"{why}; publish.require_evaluation = false lets the scores pass unjudged"
    return GateResult("evaluation", "SKIP", 0.0, expected, details)


def ratio_gate(overall: MetricRow, limits: GateLimits) -> GateResult:
    """Ask for predicted clicks near the observed ones over all traffic."""
    return _bounded(
        "calibration_ratio", overall, limits.min_ratio, limits.max_ratio, limits.min_judged_clicks
    )


def entropy_gate(row: MetricRow | None, limits: GateLimits) -> GateResult:
    """Ask for better predictions than the mean click rate of the same rows (He et al. 2014)."""
    expected = f"< {limits.max_normalized_entropy:g}"
    name = "normalized_entropy"
    if row is None:
        return GateResult(name, "FAIL", None, expected, "not in model_metrics")
    unjudged = _unjudged(name, row, expected, limits.min_judged_clicks)
    if unjudged is not None:
        return unjudged
    value = float(row["value"])
    status: GateStatus = "PASS" if value < limits.max_normalized_entropy else "FAIL"
    return GateResult(name, status, value, expected, _interval(row))


def baseline_gate(row: MetricRow | None, limits: GateLimits) -> GateResult:
    """Refuse a model whose normalized entropy is above the baseline's on the same rows.

    It fails where the whole interval of the difference is above 0, and warns where only the
    estimate is.
    """
    name, expected = "normalized_entropy_against_baseline", "difference <= 0"
    if row is None:
        return GateResult(name, "FAIL", None, expected, "not in model_metrics")
    unjudged = _unjudged(name, row, expected, limits.min_judged_clicks)
    if unjudged is not None:
        return unjudged
    value, low = float(row["value"]), row.get("low")
    status: GateStatus = "PASS"
    if value > 0:
        status = "FAIL" if low is not None and low > 0 else "WARN"
    return GateResult(name, status, value, expected, _interval(row))


def field_gates(rows: Sequence[MetricRow], limits: GateLimits) -> list[GateResult]:
    """Ask for the same of every field value from which enough clicks were expected.

    One that promised them and got none has no ratio, and fails.
    """
    low, high = limits.min_field_ratio, limits.max_field_ratio
    of_fields = [r for r in rows if r["model"] == limits.model and FIELD_MARK in r["segment"]]
    promised = {r["segment"]: r["value"] for r in of_fields if r["metric"] == EXPECTED_CLICKS}
    judged = [
        _bounded(f"calibration_ratio of {row['segment']}", row, low, high, 0)
        for row in of_fields
        if row["metric"] == CALIBRATION_RATIO
        and promised.get(row["segment"], 0.0) >= limits.min_field_clicks
    ]
    name, expected = "calibration_ratio of field values", f"{limits.min_field_clicks:g} clicks each"
    if not judged:
        reason = f"no field value has {limits.min_field_clicks:g} expected clicks"
        return [GateResult(name, "SKIP", None, expected, reason)]
    failed = failures(judged)
    if failed:
        return failed
    details = f"{len(judged)} field values inside their bounds"
    return [GateResult(name, "PASS", float(len(judged)), expected, details)]


def _find(rows: Sequence[MetricRow], model: str, segment: str, metric: str) -> MetricRow | None:
    wanted = (model, segment, metric)
    found = (row for row in rows if (row["model"], row["segment"], row["metric"]) == wanted)
    return next(found, None)


def _unjudged(name: str, row: MetricRow, expected: str, min_clicks: int) -> GateResult | None:
    value = None if row["value"] is None else float(row["value"])
    clicks = int(row["clicks"])
    if clicks < min_clicks:
        reason = (
            f"{clicks} clicks, at least {min_clicks} are needed: "
            "the interval is wider than the gate"
        )
        return GateResult(name, "SKIP", value, expected, reason)
    if value is None or not math.isfinite(value):
        reason = f"no value over {clicks} clicks: {row.get('reason') or 'undefined'}"
        return GateResult(name, "FAIL", None, expected, reason)
    return None


def _bounded(name: str, row: MetricRow, low: float, high: float, min_clicks: int) -> GateResult:
    expected = f"{low:g} to {high:g}"
    unjudged = _unjudged(name, row, expected, min_clicks)
    if unjudged is not None:
        return unjudged
    value = float(row["value"])
    status: GateStatus = "PASS" if low <= value <= high else "FAIL"
    return GateResult(name, status, value, expected, _interval(row))


def _interval(row: MetricRow) -> str:
    value, low, high = row["value"], row.get("low"), row.get("high")
    known = low is not None and high is not None
    interval = f" ({low:.4f} to {high:.4f})" if known else ""
    return f"{value:.4f}{interval} over {row['rows']} impressions and {row['clicks']} clicks"

"""Publish gates: whether a day's scores may replace the ones that consumers read.

Pure functions over rows of `model_metrics`. A gate stops publication where the whole interval of
what it looks at lies outside its bounds, and passes where the estimate lies inside; between the
two it is undecided, and says so. How many clicks there are decides nothing by itself: with few,
intervals are wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.models.judged import (
    CALIBRATION_RATIO,
    DIFFERENCE,
    EXPECTED_CLICKS,
    FIELD_MARK,
    NORMALIZED_ENTROPY,
)
from pipelines.models.segments import COLD, MIXED, SEGMENTS, WARM
from pipelines.parameters import Parameters, Positive, ShareOrAll
from pipelines.quality.bounds import Bounds, Estimate, Verdict

MetricRow = Mapping[str, Any]
# Rows of the published model, by segment and metric.
Judged = Mapping[tuple[str, str], MetricRow]

ENTROPY_DIFFERENCE = NORMALIZED_ENTROPY + DIFFERENCE
AGAINST_BASELINE = NORMALIZED_ENTROPY + "_against_baseline"
# What the names of gates begin with in `quality_results`.
GATE_MARK = "gate:"
MISCALIBRATED = "promised and observed clicks differ"
_PARTS = (COLD, WARM)
# Field values and gates named in words; all of them are in `model_metrics`.
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class GateLimits(Parameters):
    """Limits of the gates: section `publish` of the configuration.

    Attributes
    ----------
    model : str
        Model in `model_metrics` whose probabilities are published.
    require_evaluation : bool
        Whether scores of models that no day has judged yet are refused.
    min_ratio, max_ratio : float
        Bounds of the calibration ratio, predicted over observed clicks, over all traffic.
    min_field_ratio, max_field_ratio : float
        The same of a field value.
    max_normalized_entropy : float
        Must not be reached; 1 is as good as the mean click rate.
    min_coverage : float
        Least share of the live promoted listings that have a score.
    """

    model: str
    require_evaluation: bool
    min_ratio: Positive
    max_ratio: Positive
    min_field_ratio: Positive
    max_field_ratio: Positive
    max_normalized_entropy: Positive
    min_coverage: ShareOrAll


@dataclass(frozen=True)
class GateResult:
    """What a gate says.

    Attributes
    ----------
    status : {'PASS', 'FAIL', 'SKIP'}
        SKIP is undecided; `details` says why.
    slice : str
        Field value that was judged, as in the segments of `model_metrics`; empty for the day.
    rows : int or None
        Impressions judged.
    """

    name: str
    status: Verdict
    observed: float | None
    expected: str
    details: str
    slice: str = ""
    rows: int | None = None

    @property
    def cause(self) -> str:
        """What has happened where the gate stops, as in `conf/causes.toml`."""
        if self.name == "coverage":
            return "listings have no score"
        calibration = self.name.startswith(CALIBRATION_RATIO)
        return MISCALIBRATED if calibration else "predictions got worse"

    def __str__(self) -> str:
        """The result in words."""
        of = f" of {self.slice}" if self.slice else ""
        return f"{self.name}{of}: {self.details}, asked for {self.expected}"


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
        One per gate; field values that do not stop are summed up in one.
    """
    judged = {(r["segment"], r["metric"]): r for r in rows if r["model"] == limits.model}
    results = [coverage_gate(coverage, limits), evaluation_gate(judged, limits)]
    if not judged.get((MIXED, CALIBRATION_RATIO), {}).get("rows"):
        return results
    return [
        *results,
        _judge(CALIBRATION_RATIO, judged, Bounds(low=limits.min_ratio, high=limits.max_ratio)),
        _judge(
            NORMALIZED_ENTROPY, judged, Bounds(high=limits.max_normalized_entropy, is_open=True)
        ),
        *baseline_gates(judged),
        *field_gates(judged, limits),
    ]


def failures(results: Sequence[GateResult]) -> list[GateResult]:
    """Gates that stop publication."""
    return [result for result in results if result.status == "FAIL"]


def in_words(failed: Sequence[GateResult]) -> str:
    """Say why gates stop a day: those that share a cause are one finding with a count."""
    by_cause: dict[str, list[GateResult]] = {}
    for gate in failed:
        by_cause.setdefault(gate.cause, []).append(gate)
    findings = []
    for cause, own in by_cause.items():
        named = "; ".join(str(gate) for gate in own[:_NAMED])
        if len(own) > _NAMED:
            named = f"{cause}, say {len(own)} gates: {named}; and {len(own) - _NAMED} more"
        findings.append(named)
    return "; ".join(findings)


def coverage_gate(coverage: float | None, limits: GateLimits) -> GateResult:
    """Ask for a score of nearly every live promoted listing."""
    expected = f">= {limits.min_coverage:g}"
    if coverage is None:
        reason = "there is no live promoted listing to score"
        return GateResult("coverage", "FAIL", None, expected, reason)
    status: Verdict = "PASS" if coverage >= limits.min_coverage else "FAIL"
    details = f"{coverage:.2%} of the live promoted listings have a score"
    return GateResult("coverage", status, coverage, expected, details)


def evaluation_gate(judged: Judged, limits: GateLimits) -> GateResult:
    """Ask that the models were judged on traffic that they had not learnt from."""
    row = judged.get((MIXED, CALIBRATION_RATIO), {"rows": 0})
    rows = int(row["rows"])
    expected = "rows > 0" if limits.require_evaluation else "recorded only"
    if rows and (row["value"] is not None or row["low"] is not None):
        details = f"judged on {rows} impressions and {row['clicks']} clicks"
        return GateResult("evaluation", "PASS", float(rows), expected, details, rows=rows)
    if rows:
        details = f"the day's traffic cannot be judged: {row['reason']}"
        return GateResult("evaluation", "FAIL", None, expected, details, rows=rows)
    why = (
        "no traffic was judged out of time: that takes weights, an ensemble and a calibration map "
        "made on the day before"
    )
    if limits.require_evaluation:
        details = (
            f"{why}. Run the next day, load earlier days and run again, publish this day by "
            "`promoted-ctr publish`, or all that nothing has judged by setting "
            "publish.require_evaluation = false"
        )
        return GateResult("evaluation", "FAIL", 0.0, expected, details, rows=rows)
    details = f"{why}; publish.require_evaluation = false lets the scores pass unjudged"
    return GateResult("evaluation", "SKIP", 0.0, expected, details, rows=rows)


def baseline_gates(judged: Judged) -> list[GateResult]:
    """Ask for no higher normalized entropy than the baseline's, of all traffic, cold and warm.

    A segment without traffic is not asked.
    """
    bounds = Bounds(high=0.0)
    return [
        _judge(ENTROPY_DIFFERENCE, judged, bounds, name=AGAINST_BASELINE, segment=segment)
        for segment in SEGMENTS
        if segment == MIXED or judged.get((segment, ENTROPY_DIFFERENCE), {}).get("rows")
    ]


def field_gates(judged: Judged, limits: GateLimits) -> list[GateResult]:
    """Ask for a calibration ratio inside wider bounds of every value of the calibration fields.

    Cold and warm are values too.

    Returns
    -------
    list of GateResult
        One per value that stops; where none does, one that counts them.
    """
    bounds = Bounds(low=limits.min_field_ratio, high=limits.max_field_ratio)
    results = [
        _judge(CALIBRATION_RATIO, judged, bounds, segment=segment)
        for (segment, metric), row in judged.items()
        if metric == CALIBRATION_RATIO and (FIELD_MARK in segment or segment in _PARTS)
        if row["rows"]
    ]
    if failed := failures(results):
        return failed
    name, expected = f"{CALIBRATION_RATIO} of field values", f"{bounds} each"
    if not results:
        return [GateResult(name, "SKIP", None, expected, "no field value was judged")]
    undecided = [result for result in results if result.status == "SKIP"]
    passed = len(results) - len(undecided)
    details = f"{passed} of {len(results)} field values inside their bounds"
    if undecided:
        named = "; ".join(f"{result.slice} {result.details}" for result in undecided[:_NAMED])
        more = f"; and {len(undecided) - _NAMED} more" if len(undecided) > _NAMED else ""
        details = f"{details}, the others undecided: {named}{more}"
    return [GateResult(name, "SKIP" if undecided else "PASS", float(passed), expected, details)]


def _judge(
    metric: str, judged: Judged, bounds: Bounds, *, name: str = "", segment: str = MIXED
) -> GateResult:
    """Judge a metric by its interval; one that is missing is undecided."""
    part, name = "" if segment == MIXED else segment, name or metric
    row = judged.get((segment, metric))
    if row is None:
        return GateResult(name, "SKIP", None, str(bounds), "not in model_metrics", part)
    estimate = Estimate(row["value"], row["low"], row["high"], row["reason"])
    status, why = estimate.judge(bounds)
    details = f"{estimate} over {row['rows']} impressions and {row['clicks']} clicks"
    promised = judged.get((segment, EXPECTED_CLICKS))
    if metric == CALIBRATION_RATIO and promised is not None and promised["value"] is not None:
        details += f" ({promised['value']:.1f} promised)"
    details = f"{details}: {why}" if why else details
    return GateResult(name, status, estimate.value, str(bounds), details, part, int(row["rows"]))

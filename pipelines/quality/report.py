"""The report of a day as one HTML file that needs nothing but a browser."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from pipelines.models.judged import (
    AUC,
    CALIBRATION_RATIO,
    DIFFERENCE,
    EXPECTED_CLICKS,
    FIELD_MARK,
    LOG_LOSS,
    NORMALIZED_ENTROPY,
    MetricRow,
)
from pipelines.models.segments import MIXED, SEGMENTS
from pipelines.plain import finalized
from pipelines.quality import plots
from pipelines.quality.report_data import Check, ReportData
from pipelines.quality.wording import day_ranges, number, percent, probability, seconds, signed

# What the model named `baseline` in `model_metrics` is.
BASELINES = {"baseline": "the smoothed click rate by position"}
PUBLISHED_MODEL = "published"
MODELS = ("historical", "content", "ensemble", "joint", PUBLISHED_MODEL)
MOST_FIELDS = 12


@dataclass(frozen=True)
class TableMetric:
    """One block of the 3 x 3 table: a metric as a difference to the baseline."""

    metric: str
    title: str
    factor: float
    digits: int
    good: str

    @property
    def difference(self) -> str:
        """The difference's name in `model_metrics`."""
        return self.metric + DIFFERENCE


TABLE_METRICS = (
    TableMetric(AUC, "AUC, %", 100.0, 2, "higher is better"),
    TableMetric(LOG_LOSS, "log loss × 10³", 1e3, 2, "lower is better"),
    TableMetric(NORMALIZED_ENTROPY, "NE × 10³", 1e3, 1, "lower is better"),
)

# Aryafar, Guillory, Hong (AdKDD 2017): improvements over their baseline, by segment.
PAPER: dict[tuple[str, str], tuple[float, float, float]] = {
    ("historical", AUC): (1.56, 1.89, 1.55),
    ("content", AUC): (-1.57, 6.39, -1.74),
    ("ensemble", AUC): (1.87, 8.09, 1.79),
    ("ensemble", NORMALIZED_ENTROPY): (-3.64, -8.51, -3.46),
}

STATUS_ORDER = ("FAIL", "ERROR", "WARN", "SKIP", "PASS")
STATUS_MARKS = {"FAIL": "✕", "ERROR": "!", "WARN": "▲", "SKIP": "–", "PASS": "✓"}


def interval(metric: MetricRow | None, factor: float = 1.0, digits: int = 2) -> str:
    """Write a metric's 95 % interval; empty where it has none."""
    if metric is None or metric.low is None:
        return ""
    if metric.high is None:
        return f"at least {number(factor * metric.low, digits)}"
    return f"{number(factor * metric.low, digits)} to {number(factor * metric.high, digits)}"


def table_cells(data: ReportData, model: str, block: TableMetric) -> list[dict[str, str]]:
    """Cells of one model and metric of the 3 x 3 table: mixed, cold, warm."""
    cells = []
    for place, segment in enumerate(SEGMENTS):
        found = data.metric(model, segment, block.difference)
        paper = PAPER.get((model, block.metric))
        cells.append(
            {
                "value": signed(scaled(found, block), block.digits),
                "interval": interval(found, block.factor, block.digits),
                "verdict": _verdict(found, block),
                "why": (found.reason or "") if found else "",
                "paper": signed(paper[place], 2) if paper else "",
            }
        )
    return cells


def scaled(metric: MetricRow | None, block: TableMetric) -> float | None:
    """Give a difference in the scale of the 3 x 3 table."""
    return None if metric is None or metric.value is None else block.factor * metric.value


def _verdict(metric: MetricRow | None, block: TableMetric) -> str:
    """Better or worse where the interval leaves zero out, else open."""
    if metric is None or metric.low is None or metric.high is None:
        return "open"
    if metric.low <= 0.0 <= metric.high:
        return "open"
    return "better" if (metric.low > 0.0) == block.good.startswith("higher") else "worse"


def headline(data: ReportData) -> str:
    """Say whether the day is published, with a tick only where nothing speaks against it.

    A tick is given where every gate passed, the promised clicks are off by no more than chance,
    and no segment is worse than the baseline beyond it.
    """
    if not data.published:
        return f"{STATUS_MARKS['FAIL']} not published"
    ratio = data.metric(PUBLISHED_MODEL, MIXED, CALIBRATION_RATIO)
    compared = [
        _verdict(data.metric(PUBLISHED_MODEL, segment, block.difference), block)
        for block in TABLE_METRICS
        for segment in SEGMENTS
    ]
    is_sound = (
        all(gate.status == "PASS" for gate in data.gates)
        and (ratio is None or _is_chance(ratio))
        and "worse" not in compared
    )
    return f"{STATUS_MARKS['PASS' if is_sound else 'WARN']} published"


def _is_chance(ratio: MetricRow) -> bool:
    """Whether a calibration ratio may be 1."""
    low, high = ratio.low, ratio.high
    return (low is None or low <= 1.0) and (high is None or high >= 1.0)


def judgement(data: ReportData) -> str:
    """Say in one sentence what the evaluation found; empty where the day was not judged."""
    ratio = data.metric(PUBLISHED_MODEL, MIXED, CALIBRATION_RATIO)
    if ratio is None or ratio.low is None:
        return ""
    chance = "which is within chance" if _is_chance(ratio) else "which chance does not explain"
    if ratio.value is None:
        expected = data.metric(PUBLISHED_MODEL, MIXED, EXPECTED_CLICKS)
        promised = number(expected.value if expected else None, 1)
        return f"The probabilities promised {promised} clicks and none came, {chance}."
    away = 100 * (ratio.value - 1)
    direction = "more" if away >= 0 else "fewer"
    return f"The probabilities promised {abs(away):.1f} % {direction} clicks than came, {chance}."


def fields_off(data: ReportData) -> tuple[list[MetricRow], int]:
    """Field values whose calibration ratio leaves 1 out of its interval, the largest first.

    Returns
    -------
    rows, judged
        At most `MOST_FIELDS` rows, and how many values were judged: chance alone leaves 1 out of
        one interval in twenty.
    """
    judged = [
        m
        for m in data.metrics
        if (m.model, m.metric) == (PUBLISHED_MODEL, CALIBRATION_RATIO) and FIELD_MARK in m.segment
    ]
    off = [
        m
        for m in judged
        if (m.low is not None and m.low > 1.0) or (m.high is not None and m.high < 1.0)
    ]
    off.sort(key=lambda m: (-m.rows, m.segment))
    return off[:MOST_FIELDS], len(judged)


def baseline_name(data: ReportData) -> str:
    """Name in words what the differences are taken to."""
    named = sorted({m.baseline for m in data.metrics if m.baseline})
    return ", ".join(BASELINES.get(name, name) for name in named) or "the baseline"


def status_counts(checks: Sequence[Check]) -> list[tuple[str, int]]:
    """How many checks have each status, worst first; statuses that do not occur are left out."""
    counts = Counter(check.status for check in checks)
    return [(status, counts[status]) for status in STATUS_ORDER if counts[status]]


def checks_by_table(checks: Sequence[Check]) -> list[tuple[str, list[Check]]]:
    """Group checks by table, the worst first within each."""
    groups: dict[str, list[Check]] = {}
    for check in sorted(checks, key=lambda c: (STATUS_ORDER.index(c.status), c.check, c.slice)):
        groups.setdefault(check.table, []).append(check)
    return sorted(groups.items())


def difference_panels(data: ReportData) -> list[tuple[str, float, list[MetricRow]]]:
    """Panels for the plot of differences, in the order of the 3 x 3 table."""
    wanted = [(model, segment) for model in MODELS for segment in SEGMENTS]
    return [
        (
            f"{block.title} ({block.good})",
            block.factor,
            [m for pair in wanted if (m := data.metric(*pair, block.difference)) is not None],
        )
        for block in TABLE_METRICS
    ]


def render_html(data: ReportData) -> str:
    """Write the report of a day.

    Returns
    -------
    str
        One HTML page without outside references. The same data give the same bytes.
    """
    import jinja2

    folder = resources.files("pipelines.quality") / "templates"
    environment = jinja2.Environment(
        autoescape=True,
        finalize=finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=number,
        signed=signed,
        percent=percent,
        probability=probability,
        seconds=seconds,
        day_ranges=day_ranges,
    )
    template = environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(**_page(data))


def _page(data: ReportData) -> dict[str, Any]:
    judged = [b for b in data.reliability if b.model == PUBLISHED_MODEL]
    return {
        "d": data,
        "models": MODELS,
        "segments": SEGMENTS,
        "blocks": TABLE_METRICS,
        "cells": table_cells,
        "interval": interval,
        "headline": headline(data),
        "judgement": judgement(data),
        "fields_off": fields_off(data),
        "model": PUBLISHED_MODEL,
        "baseline": baseline_name(data),
        "has_table": any(metrics for _, _, metrics in difference_panels(data)),
        "marks": STATUS_MARKS,
        "status_counts": status_counts(data.checks),
        "checks": checks_by_table(data.checks),
        "attention": [c for c in data.checks if c.status in ("FAIL", "ERROR", "WARN")],
        "slowest": max((step.seconds for step in data.steps), default=0.0),
        "plot": {
            "reliability": plots.reliability_plot(judged, SEGMENTS),
            "differences": plots.difference_plot(difference_panels(data), MODELS, SEGMENTS),
            "traffic": plots.traffic_plot(data.traffic),
            "scores": plots.score_plot(data.scores),
        },
    }

"""The report's plots as inline SVG: same data, same bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from pipelines.models.judged import MetricRow, ReliabilityRow
from pipelines.quality.plot_style import (
    GREEN,
    INK,
    MUTED,
    SEGMENT_COLOURS,
    SEGMENT_MARKS,
    SURFACE_COLOURS,
    SURFACE_DASHES,
    SURFACE_MARKS,
    drawing,
    log_ticks,
    percent_axis,
)
from pipelines.quality.report_data import DayTraffic, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_Z95 = 1.959963984540054
_MANY_DAYS = 14
_NOTHING = (math.nan, math.nan)


def reliability_plot(bins: Sequence[ReliabilityRow], segments: Sequence[str]) -> str | None:
    """Click rate against predicted probability, one panel per segment, both axes logarithmic.

    Bins without a click stand as open triangles on the lower edge, their interval above them.

    Returns
    -------
    str or None
        An SVG element; None where there are no bins.
    """
    shown = [s for s in segments if any(b.segment == s for b in bins)]
    if not shown:
        return None
    values = [b.expected for b in bins if b.expected > 0]
    values += [v for b in bins for v in (b.observed, b.low, b.high) if v > 0]
    smallest = min(b.expected for b in bins if b.expected > 0)
    low, high = max(min(values), smallest / 5) / 1.25, min(max(values), 1.0) * 1.25
    with drawing("reliability", 3.5 * max(len(shown), 2) + 0.2, 3.95) as (figure, written):
        panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
        for axes, segment in zip(panels, shown, strict=True):
            _reliability_panel(axes, [b for b in bins if b.segment == segment], segment, low, high)
            axes.tick_params(axis="y", length=3 if axes is panels[0] else 0)
        panels[0].set_ylabel("clicks per impression")
    return written[0]


def _reliability_panel(
    axes: Axes, bins: Sequence[ReliabilityRow], segment: str, low: float, high: float
) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    colour, mark = SEGMENT_COLOURS.get(segment, INK), SEGMENT_MARKS.get(segment, "o")
    for b in bins:
        ends = [max(b.low, low), min(max(b.high, low), high)]
        axes.plot([b.expected] * 2, ends, color=colour, linewidth=1.2, alpha=0.55, zorder=2)
    seen = [b for b in bins if b.observed >= low]
    unseen = [b for b in bins if b.observed < low]
    axes.plot(
        [b.expected for b in seen], [b.observed for b in seen],
        mark, color=colour, markersize=4.5, zorder=3,
    )  # fmt: skip
    axes.plot(
        [b.expected for b in unseen], [low * 1.06] * len(unseen),
        "v", markerfacecolor="white", markeredgecolor=colour, markersize=5, zorder=3,
    )  # fmt: skip
    axes.set(xlim=(low, high), ylim=(low, high), title=segment, xlabel="predicted probability")
    axes.set_aspect("equal")
    ticks = log_ticks(low, high)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    axes.tick_params(axis="x", labelrotation=30)


def traffic_plot(traffic: Sequence[DayTraffic]) -> str | None:
    """Click rate with 95 % Wilson intervals, and impressions, by day and surface.

    Returns
    -------
    str or None
        An SVG element; None where there is no traffic.
    """
    if not traffic:
        return None
    surfaces = sorted({t.surface for t in traffic})
    first = min(t.ds for t in traffic)
    span = (max(t.ds for t in traffic) - first).days + 1
    days = [first + timedelta(days=i) for i in range(span)]
    with drawing("traffic", 10.4, 2.9) as (figure, written):
        rate, volume = figure.subplots(1, 2)
        for surface in surfaces:
            of_day = {t.ds: t for t in traffic if t.surface == surface}
            # A day that is not there breaks the line.
            rows = [of_day.get(day, DayTraffic(day, surface, 0, 0)) for day in days]
            places = range(len(days))
            colour = SURFACE_COLOURS.get(surface, GREEN)
            mark = SURFACE_MARKS.get(surface, "o") if len(days) <= 2 * _MANY_DAYS else ""
            line = {"color": colour, "marker": mark, "markersize": 3.5, "linewidth": 1.4,
                    "linestyle": SURFACE_DASHES.get(surface, "-")}  # fmt: skip
            bands = [
                wilson_interval(t.clicks, t.impressions) if t.impressions else _NOTHING
                for t in rows
            ]
            rate.fill_between(
                places, [b[0] for b in bands], [b[1] for b in bands],
                color=colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
            shares = [t.clicks / t.impressions if t.impressions else math.nan for t in rows]
            rate.plot(places, shares, label=surface, **line)
            volume.plot(places, [t.impressions or math.nan for t in rows], label=surface, **line)
        volume.set_ylim(top=1.15 * max(t.impressions for t in traffic) or 1)
        _traffic_axes(rate, volume, [f"{day:%-d %b}" for day in days])
    return written[0]


def _traffic_axes(rate: Axes, volume: Axes, labels: Sequence[str]) -> None:
    from matplotlib.ticker import EngFormatter

    step = max(1, -(-len(labels) // 8))
    ticks = list(range(len(labels) - 1, -1, -step))[::-1]
    for axes, title in ((rate, "Clicks per impression"), (volume, "Impressions")):
        axes.set_title(title)
        axes.set_ylim(bottom=0)
        axes.set_xticks(ticks, [labels[i] for i in ticks])
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.grid(visible=False, axis="x")
    percent_axis(rate.yaxis)
    volume.yaxis.set_major_formatter(EngFormatter(sep=" "))
    rate.legend(loc="best", ncols=2, handlelength=1.6)


def difference_plot(panels: Sequence[tuple[str, float, Sequence[MetricRow]]], models: Sequence[str],
                    segments: Sequence[str]) -> str | None:  # fmt: skip
    """Differences to the baseline with their intervals: a panel per metric, a row per model.

    A difference without an interval has an open mark.

    Parameters
    ----------
    panels : sequence of (title, factor, metrics)
        What each panel shows; values are multiplied by the factor.
    models, segments : sequence of str
        Rows from top to bottom, and the marks within a row.
    """
    if not any(metrics for _, _, metrics in panels):
        return None
    with drawing("differences", 10.4, 0.62 * len(models) + 1.15) as (figure, written):
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, factor, metrics) in zip(drawn, panels, strict=True):
            axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            for m in metrics:
                if m.value is None:
                    continue
                height = models.index(m.model) + 0.24 * (segments.index(m.segment) - 1)
                colour, mark = SEGMENT_COLOURS[m.segment], SEGMENT_MARKS[m.segment]
                inside = "white"
                if m.low is not None and m.high is not None:
                    inside = colour
                    ends = [factor * m.low, factor * m.high]
                    axes.plot(ends, [height, height], color=colour, linewidth=1.4, alpha=0.6)
                axes.plot([factor * m.value], [height], mark, color=colour, markersize=5.5,
                          markerfacecolor=inside)  # fmt: skip
            axes.set_title(title)
            axes.set_yticks(range(len(models)), models)
            axes.set_ylim(len(models) - 0.5, -0.5)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", labelcolor=INK, length=0)
        for segment in segments:
            drawn[-1].plot([], [], SEGMENT_MARKS[segment], color=SEGMENT_COLOURS[segment],
                           markersize=5.5, label=segment)  # fmt: skip
        figure.legend(*drawn[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return written[0]


def score_plot(scores: Scores) -> str | None:
    """Share of each segment's listings by p_click, on a logarithmic axis.

    Returns
    -------
    str or None
        An SVG element; None where there are no scores.
    """
    if not scores.count or not scores.edges:
        return None
    with drawing("scores", 10.4, 2.5) as (figure, written):
        axes = figure.subplots()
        for segment, counts in sorted(scores.histogram.items()):
            total = sum(counts)
            if total:
                colour = SEGMENT_COLOURS.get(segment, GREEN)
                shares = [count / total for count in counts]
                dash = "-" if segment == "warm" else (0, (5, 2))
                axes.stairs(shares, scores.edges, color=colour, linewidth=1.6, linestyle=dash,
                            label=f"{segment} ({total:,} listings)")  # fmt: skip
                axes.stairs(shares, scores.edges, color=colour, alpha=0.12, fill=True)
        axes.set_xscale("log")
        axes.set_xlim(scores.edges[0], scores.edges[-1])
        axes.set_xticks(log_ticks(scores.edges[0], scores.edges[-1]))
        axes.set_xlabel("p_click, calibrated, at the reference context")
        axes.set_title("Share of listings")
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        axes.legend(loc="upper right")
    return written[0]


def wilson_interval(clicks: int, impressions: int) -> tuple[float, float]:
    """95 % interval of a click rate (Wilson 1927); (0, 1) without impressions.

    Examples
    --------
    >>> low, high = wilson_interval(10, 1000)
    >>> round(low, 5), round(high, 5)
    (0.00544, 0.01831)
    """
    if impressions <= 0:
        return 0.0, 1.0
    n, share, z2 = impressions, clicks / impressions, _Z95 * _Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n * n)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)

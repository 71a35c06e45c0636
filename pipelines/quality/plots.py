"""The report's plots as inline SVG: same data, same bytes.

Matplotlib is imported on first use: half a second that reading commands need not pay.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pipelines.quality.report_data import DayTraffic, Metric, ReliabilityBin, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart with every kind of colour vision; each series also has its own
# mark or dash, so that a black and white print reads too.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
INK = "#1a1a1a"
MUTED = "#6b6b6b"
RULE = "#d9d9d9"

SEGMENT_COLOURS = {"mixed": INK, "cold": BLUE, "warm": ORANGE}
SURFACE_COLOURS = {"promoted": BLUE, "search": ORANGE}
_SEGMENT_MARKS = {"mixed": "o", "cold": "s", "warm": "D"}
_SURFACE_MARKS = {"promoted": "o", "search": "s"}
_SURFACE_DASHES = {"promoted": (0, (4, 2))}
_Z95 = 1.959963984540054
_MANY_DAYS = 14
_NOTHING = (math.nan, math.nan)

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#ececec",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "axes.axisbelow": True,
}


@contextmanager
def _drawing(name: str, width: float, height: float) -> Iterator[tuple[Figure, list[str]]]:
    """Give a figure in the report's style; on leaving, its SVG is in the list."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written: list[str] = []
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        canvas: Any = FigureCanvasSVG(figure)
        yield figure, written
        buffer = io.StringIO()
        canvas.print_svg(buffer, metadata={"Date": None, "Creator": None})
        written.append(_inline(buffer.getvalue(), name))


def _inline(svg: str, name: str) -> str:
    """Cut an SVG file down to its element, its ids unique in a page that holds several."""
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r'<svg role="img" \1', svg, count=1)
    svg = svg.replace("'DejaVu Sans', sans-serif", "inherit").replace("'DejaVu Sans'", "inherit")
    return svg.strip()


def _percent_axis(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.4g} %"))
    axis.set_minor_formatter(NullFormatter())


def _log_ticks(low: float, high: float) -> list[float]:
    """Ticks at 1, 2 and 5 times powers of ten inside [low, high]; sparser over many decades."""
    decades = math.log10(high / low)
    steps = (1.0, 2.0, 5.0) if decades < 2.6 else (1.0, 3.0) if decades < 4 else (1.0,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def reliability_plot(bins: Sequence[ReliabilityBin], segments: Sequence[str]) -> str | None:
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
    with _drawing("reliability", 3.5 * max(len(shown), 2) + 0.2, 3.7) as (figure, written):
        panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
        for axes, segment in zip(panels, shown, strict=True):
            _reliability_panel(axes, [b for b in bins if b.segment == segment], segment, low, high)
            axes.tick_params(axis="y", length=3 if axes is panels[0] else 0)
        panels[0].set_ylabel("clicks per impression")
    return written[0]


def _reliability_panel(
    axes: Axes, bins: Sequence[ReliabilityBin], segment: str, low: float, high: float
) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot([low, high], [low, high], color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    colour, mark = SEGMENT_COLOURS.get(segment, INK), _SEGMENT_MARKS.get(segment, "o")
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
    ticks = _log_ticks(low, high)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    _percent_axis(axes.xaxis)
    _percent_axis(axes.yaxis)
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
    with _drawing("traffic", 10.4, 2.9) as (figure, written):
        rate, volume = figure.subplots(1, 2)
        for surface in surfaces:
            of_day = {t.ds: t for t in traffic if t.surface == surface}
            # A day that is not there breaks the line.
            rows = [of_day.get(day, DayTraffic(day, surface, 0, 0)) for day in days]
            at = range(len(days))
            colour = SURFACE_COLOURS.get(surface, GREEN)
            mark = _SURFACE_MARKS.get(surface, "o") if len(days) <= 2 * _MANY_DAYS else ""
            line = {"color": colour, "marker": mark, "markersize": 3.5, "linewidth": 1.4,
                    "linestyle": _SURFACE_DASHES.get(surface, "-")}  # fmt: skip
            bands = [
                wilson_interval(t.clicks, t.impressions) if t.impressions else _NOTHING
                for t in rows
            ]
            rate.fill_between(
                at, [b[0] for b in bands], [b[1] for b in bands],
                color=colour, alpha=0.15, linewidth=0,
            )  # fmt: skip
            shares = [t.clicks / t.impressions if t.impressions else math.nan for t in rows]
            rate.plot(at, shares, label=surface, **line)
            volume.plot(at, [t.impressions or math.nan for t in rows], label=surface, **line)
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
    _percent_axis(rate.yaxis)
    volume.yaxis.set_major_formatter(EngFormatter(sep=" "))
    rate.legend(loc="best", ncols=2, handlelength=1.6)


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


def difference_plot(panels: Sequence[tuple[str, float, Sequence[Metric]]], models: Sequence[str],
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
    with _drawing("differences", 10.4, 0.62 * len(models) + 1.15) as (figure, written):
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, factor, metrics) in zip(drawn, panels, strict=True):
            axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
            for m in metrics:
                if m.value is None:
                    continue
                at = models.index(m.model) + 0.24 * (segments.index(m.segment) - 1)
                colour, mark = SEGMENT_COLOURS[m.segment], _SEGMENT_MARKS[m.segment]
                inside = "white"
                if m.low is not None and m.high is not None:
                    inside = colour
                    ends = [factor * m.low, factor * m.high]
                    axes.plot(ends, [at, at], color=colour, linewidth=1.4, alpha=0.6)
                axes.plot([factor * m.value], [at], mark, color=colour, markersize=5.5,
                          markerfacecolor=inside)  # fmt: skip
            axes.set_title(title)
            axes.set_yticks(range(len(models)), models)
            axes.set_ylim(len(models) - 0.5, -0.5)
            axes.grid(visible=False, axis="y")
            axes.tick_params(axis="y", labelcolor=INK, length=0)
        for segment in segments:
            drawn[-1].plot([], [], _SEGMENT_MARKS[segment], color=SEGMENT_COLOURS[segment],
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
    with _drawing("scores", 10.4, 2.5) as (figure, written):
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
        axes.set_xticks(_log_ticks(scores.edges[0], scores.edges[-1]))
        axes.set_xlabel("p_click, calibrated, at the reference context")
        axes.set_title("Share of listings")
        _percent_axis(axes.xaxis)
        _percent_axis(axes.yaxis)
        axes.legend(loc="upper right")
    return written[0]

"""What a study finds, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.quality.plot_style import BLUE, INK, drawing


@dataclass(frozen=True)
class Bar:
    """A number to be shown beside others, and what it is of."""

    label: str
    value: float


@dataclass(frozen=True)
class Finding:
    """A study's table, and the numbers of its plot.

    Attributes
    ----------
    header : tuple of str
        Of the columns; the first is of labels.
    rows : sequence of tuple of str
    bars : sequence of Bar
    unit : str
        What the bars are in.
    """

    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    bars: Sequence[Bar]
    unit: str

    @property
    def markdown(self) -> str:
        """The table for a document."""
        lines = [self.header, ("---", *["---:"] * (len(self.header) - 1)), *self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plot(name: str, finding: Finding) -> str:
    """Horizontal bars, the first on top, as an SVG file's text."""
    labels = [bar.label for bar in finding.bars]
    values = [bar.value for bar in finding.bars]
    with drawing(name, 7.0, 0.6 + 0.26 * len(values)) as (figure, written):
        axes = figure.subplots()
        axes.barh(range(len(values)), values, color=BLUE, height=0.7)
        axes.axvline(0.0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(values)), labels)
        axes.invert_yaxis()
        axes.set_xlabel(finding.unit)
    return written[0]

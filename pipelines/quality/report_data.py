"""What the report of a day says, as plain values: no tables, no paths, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from pipelines.models.judged import MetricRow, ReliabilityRow


@dataclass(frozen=True)
class RunStep:
    """One job as it last made the day; a job may have made a range of days in one go.

    Attributes
    ----------
    seconds : float
        Wall time of the job for all its days together.
    own : bool
        Whether the reported run made it; false where an earlier run had.
    """

    job: str
    run_id: str
    status: str
    exit_code: int
    days: int
    first_day: date
    last_day: date
    rows_in: int | None
    rows_out: int | None
    rows_quarantined: int | None
    seconds: float
    own: bool = True


@dataclass(frozen=True)
class DayTraffic:
    """Valid impressions and clicks of one day on one surface."""

    ds: date
    surface: str
    impressions: int
    clicks: int


@dataclass(frozen=True)
class Window:
    """The days a window asks for and the ones that are really there."""

    name: str
    what: str
    first_day: date
    last_day: date
    held: frozenset[date]

    @property
    def days(self) -> list[date]:
        """Every day the window asks for, ascending."""
        span = (self.last_day - self.first_day).days + 1
        return [self.first_day + timedelta(days=i) for i in range(span)]

    @property
    def missing(self) -> list[date]:
        """The days that are not there."""
        return [day for day in self.days if day not in self.held]


@dataclass(frozen=True)
class Completeness:
    """Clicks on a day's impressions that came before the label cut-off, and after it."""

    ds: date
    in_time: int
    late: int

    @property
    def share(self) -> float | None:
        """Share that came in time; None without clicks."""
        clicks = self.in_time + self.late
        return self.in_time / clicks if clicks else None


@dataclass(frozen=True)
class Quarantined:
    """Refused rows of a log for one reason; a row with two reasons counts under both."""

    log: str
    reason: str
    rows: int


@dataclass(frozen=True)
class Check:
    """One row of `quality_results`, or one publish gate."""

    table: str
    check: str
    slice: str
    severity: str
    status: str
    observed: float | None
    expected: str
    baseline: float | None = None
    rows: int | None = None
    details: str | None = None

    @property
    def name(self) -> str:
        """The check with the part of the table that it looked at."""
        return f"{self.check} ({self.slice})" if self.slice else self.check


@dataclass(frozen=True)
class OpenAlert:
    """An alert that is open when the report is written, of whatever day.

    Attributes
    ----------
    lines : sequence of str
        Its message.
    """

    alert_id: str
    severity: str
    title: str
    lines: Sequence[str]
    acknowledged: bool = False


@dataclass(frozen=True)
class Remark:
    """What a job had to say in words: a simpler form taken, and why."""

    job: str
    text: str


@dataclass(frozen=True)
class ScoreRow:
    """One listing of `listing_scores`."""

    listing_id: str
    title: str
    p_click: float
    p_historical: float
    p_content: float
    segment: str
    window_impressions: int
    standard_error: float


@dataclass(frozen=True)
class Scores:
    """The day's scores in short.

    Attributes
    ----------
    edges : sequence of float
        Borders of the histogram's bins, in probability, evenly spaced in its logarithm.
    histogram : dict of str to sequence of int
        Listings per bin, by segment.
    quantiles : dict of str to sequence of float
        Smallest, 10 %, median, 90 % and largest p_click, by segment.
    """

    count: int = 0
    by_segment: dict[str, int] = field(default_factory=dict)
    model_as_of: date | None = None
    edges: Sequence[float] = ()
    histogram: dict[str, Sequence[int]] = field(default_factory=dict)
    quantiles: dict[str, Sequence[float]] = field(default_factory=dict)
    top: Sequence[ScoreRow] = ()
    top_cold: Sequence[ScoreRow] = ()


@dataclass(frozen=True)
class ReportData:
    """All that the report of one day says.

    Attributes
    ----------
    documents : str
        Where the documents of Great Expectations are, seen from the report; empty without any.
    """

    ds: date
    run_id: str
    published: bool
    verdict: str
    served_day: date | None = None
    code_version: str = ""
    config_hash: str = ""
    steps: Sequence[RunStep] = ()
    metrics: Sequence[MetricRow] = ()
    reliability: Sequence[ReliabilityRow] = ()
    traffic: Sequence[DayTraffic] = ()
    windows: Sequence[Window] = ()
    completeness: Sequence[Completeness] = ()
    quarantine: Sequence[Quarantined] = ()
    quarantined_rows: dict[str, int] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    gates: Sequence[Check] = ()
    degraded: Sequence[Remark] = ()
    scores: Scores = field(default_factory=Scores)
    cold_threshold: int | None = None
    versions: dict[str, int] = field(default_factory=dict)
    documents: str = ""
    alerts: Sequence[OpenAlert] = ()

    def metric(self, model: str, segment: str, name: str) -> MetricRow | None:
        """Find the metric of a model in a segment; None where the day was not judged by it."""
        wanted = (model, segment, name)
        found = (m for m in self.metrics if (m.model, m.segment, m.metric) == wanted)
        return next(found, None)

"""What a check measured, and the result that it is kept as."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from pipelines.quality.wording import figure

Status = Literal["PASS", "WARN", "FAIL", "ERROR", "SKIP"]


@dataclass(frozen=True)
class QualityResult:
    """One row of `quality_results`.

    Attributes
    ----------
    cause : str or None
        What has happened where the check did not pass, in plain words.
    state : str or None
        JSON that the check of a later day needs of this one.
    """

    run_id: str
    table: str
    check: str
    slice: str
    severity: str
    status: Status
    observed: float | None
    expected: str
    baseline: float | None
    rows: int | None
    details: str | None
    checked_at: datetime
    ds: date
    cause: str | None = None
    state: str | None = None
    low: float | None = None
    high: float | None = None

    @property
    def told(self) -> str:
        """What was measured and what it should be, in words; why it could not be."""
        if self.status == "ERROR" or self.observed is None:
            return self.details or f"not measured, expected {self.expected}"
        said = f"{figure(self.observed)}, expected {self.expected}"
        return f"{said} ({self.details})" if self.details else said


@dataclass(frozen=True)
class Measurement:
    """One measure of a slice with the bounds it has to keep.

    Attributes
    ----------
    value : float or None
        None where there is nothing to judge; `reason` says why.
    low, high : float or None
        Inclusive bounds; None: unbounded.
    baseline : float or None
        What the value was compared with.
    cause : str
        What has happened if the bounds are not kept, in plain words.
    state : str
        JSON that the same check of a later day needs of this one.
    """

    check: str
    slice: str
    severity: str
    value: float | None
    rows: int | None
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    reason: str = ""
    note: str = ""
    cause: str = ""
    state: str = ""

    @property
    def expected(self) -> str:
        """The bounds in words."""
        if self.low is not None and self.high is not None:
            same = self.low == self.high
            return f"{self.low:g}" if same else f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f">= {self.low:g}"
        return f"<= {self.high:g}" if self.high is not None else "recorded only"

    @property
    def within(self) -> bool:
        """Whether the value is a number inside its bounds."""
        value = math.nan if self.value is None else self.value
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        return not math.isnan(value) and above and below


def judge(
    measured: Measurement, *, table: str, day: date, run_id: str, now: datetime
) -> QualityResult:
    """Give a measurement its status: PASS, SKIP with its reason, or what its severity asks for."""
    status: Status
    if measured.reason:
        status = "SKIP"
    elif measured.within:
        status = "PASS"
    else:
        status = "FAIL" if measured.severity in ("block", "quarantine") else "WARN"
    return QualityResult(
        run_id=run_id,
        table=table,
        check=measured.check,
        slice=measured.slice,
        severity=measured.severity,
        status=status,
        observed=measured.value,
        expected=measured.expected,
        baseline=measured.baseline,
        rows=measured.rows,
        details=measured.reason or measured.note or None,
        checked_at=now,
        ds=day,
        cause=measured.cause or None,
        state=measured.state or None,
        low=measured.low,
        high=measured.high,
    )


def blocking(results: Sequence[QualityResult]) -> list[QualityResult]:
    """Results that stop a run: a blocking check that failed, or could not be evaluated."""
    return [r for r in results if r.severity == "block" and r.status in ("FAIL", "ERROR")]

"""Who is told how a run goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jobs.planning.planner import PlannedStep


class Progress(Protocol):
    """Who is told how the run goes."""

    def planned(self, steps: Sequence[PlannedStep]) -> None:
        """The steps that are still to be done."""

    def started(self, step: PlannedStep) -> None:
        """A step begins."""

    def finished(self, step: PlannedStep, seconds: float, rows: int | None) -> None:
        """A step is whole and recorded."""

    def failed(self, step: PlannedStep, seconds: float, problem: BaseException) -> None:
        """A step did not end well."""

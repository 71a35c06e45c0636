"""Telling how a run goes: a live table on a terminal, plain lines otherwise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from jobs.planning.planner import PlannedStep
from jobs.planning.record import now
from jobs.setup.problems import said_of
from pipelines.plain import shown


def span(days: Sequence[date]) -> str:
    """A range of days in words."""
    return str(days[0]) if len(days) == 1 else f"{days[0]} .. {days[-1]} ({len(days)} days)"


class Lines:
    """One line per event: key=value, or JSON."""

    def __init__(self, console: Console, run_id: str, *, as_json: bool) -> None:
        self.console = console
        self.run_id = run_id
        self.as_json = as_json

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, event: str, **values: object) -> None:
        """One line."""
        line = {
            "time": now().isoformat(timespec="seconds"),
            "run_id": self.run_id,
            "event": event,
            **{key: value for key, value in values.items() if value is not None},
        }
        if self.as_json:
            text = json.dumps(line, default=str)
        else:
            text = " ".join(f"{k}={_plain(v)}" for k, v in line.items())
        self.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def planned(self, steps: Sequence[PlannedStep]) -> None:
        """Nothing: each step says that it starts."""

    def started(self, step: PlannedStep) -> None:
        """A step begins."""
        self.say("started", job=step.job.name, day=step.days[-1], days=len(step.days))

    def finished(self, step: PlannedStep, seconds: float, rows: int | None) -> None:
        """A step is whole."""
        self.say(
            "done",
            job=step.job.name,
            day=step.days[-1],
            days=len(step.days),
            rows=rows,
            seconds=round(seconds, 1),
        )

    def failed(self, step: PlannedStep, seconds: float, problem: BaseException) -> None:
        """A step did not end well."""
        self.say(
            "failed", job=step.job.name, day=step.days[-1], days=len(step.days),
            seconds=round(seconds, 1),
            problem=said_of(problem) or type(problem).__name__,
        )  # fmt: skip


def _plain(value: object) -> str:
    text = shown(str(value).replace("\n", " "))
    return json.dumps(text, ensure_ascii=False) if set(text) & set(' "=') else text


class LiveTable:
    """A table of steps with days, rows, seconds and status, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._current: tuple[PlannedStep, datetime] | None = None
        self._done: list[tuple[str, str, str, str, str]] = []
        self._due: list[tuple[str, str, str, str, str]] = []
        self._live = Live(console=console, refresh_per_second=4, get_renderable=self._draw)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._current = None
        self._due = []
        self._live.stop()

    def _draw(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in ("step", "days"):
            table.add_column(name)
        for name in ("rows", "seconds"):
            table.add_column(name, justify="right")
        table.add_column()
        running = []
        if self._current is not None:
            step, since = self._current
            seconds = (now() - since).total_seconds()
            running = [(step.job.name, span(step.days), "", f"{seconds:.0f}", "[yellow]running[/]")]
        for row in [*self._done, *running, *self._due]:
            table.add_row(*row)
        return table

    def planned(self, steps: Sequence[PlannedStep]) -> None:
        """The steps that are still to be done."""
        self._due = [(s.job.name, span(s.days), "", "", "[dim]due[/]") for s in steps[1:]]

    def started(self, step: PlannedStep) -> None:
        """A step begins."""
        self._current = (step, now())

    def finished(self, step: PlannedStep, seconds: float, rows: int | None) -> None:
        """A step is whole."""
        shown = f"{rows:,}" if rows is not None else ""
        self._done.append(
            (step.job.name, span(step.days), shown, f"{seconds:.1f}", "[green]done[/]")
        )
        self._current = None

    def failed(self, step: PlannedStep, seconds: float, problem: BaseException) -> None:
        """A step did not end well."""
        self._done.append((step.job.name, span(step.days), "", f"{seconds:.1f}", "[red]failed[/]"))
        self._current = None


def progress_for(console: Console, run_id: str, log_format: str) -> Lines | LiveTable:
    """The live table on a terminal, unless lines are asked for."""
    if log_format == "auto" and console.is_terminal:
        return LiveTable(console)
    return Lines(console, run_id, as_json=log_format == "json")

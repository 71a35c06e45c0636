"""What jobs look at while they run: sections of the configuration, and days of tables."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from jobs import FLOW, Job
from jobs.setup.config import Config
from jobs.step import Outcome, Step
from jobs.storage.day_files import DataFile
from jobs.storage.tables import Tables

EVERY_DAY = date.max
"""Stands for a table that was read whole."""


@dataclass
class Looked:
    """What the jobs have looked at.

    Attributes
    ----------
    sections : mapping of str to set of str
        By job.
    days : mapping of (job, day made) to set of (table, day read)
        The job's own output is left out.
    """

    sections: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    days: dict[tuple[str, date], set[tuple[str, date]]] = field(
        default_factory=lambda: defaultdict(set)
    )


class WatchedConfig:
    """A configuration that notes which of its sections are read."""

    def __init__(self, config: Config, sections: set[str]) -> None:
        self._config = config
        self._sections = sections

    def __getattr__(self, name: str) -> Any:
        # What asks for the configuration as a whole reads every section.
        self._sections |= {name} if name in Config.model_fields else set(Config.model_fields)
        return getattr(self._config, name)


class WatchedTables(Tables):
    """Tables that note which of their days are read."""

    def __init__(self, tables: Tables, read_days: set[tuple[str, date]]) -> None:
        super().__init__(tables.root, lambda: tables.spark, tables.part_rows)
        self._read_days = read_days

    def _note(self, name: str, days: Sequence[date] | None) -> None:
        self._read_days |= {(name, day) for day in ([EVERY_DAY] if days is None else days)}

    def read(self, name: str, days: Sequence[date] | None = None) -> Any:
        """Note and read."""
        self._note(name, days)
        return super().read(name, days)

    def read_arrow(self, name: str, days: Sequence[date] | None = None, **how: Any) -> pa.Table:
        """Note and read."""
        self._note(name, days)
        return super().read_arrow(name, days, **how)

    def dataset(self, name: str, days: Sequence[date] | None = None) -> Any:
        """Note and open."""
        self._note(name, days)
        return super().dataset(name, days)

    def files(self, name: str, days: Sequence[date]) -> list[DataFile]:
        """Note and list."""
        self._note(name, days)
        return super().files(name, days)


@contextmanager
def watching() -> Iterator[Looked]:
    """Note what jobs look at, each making one day at a time."""
    looked = Looked()
    with ExitStack() as patches:
        for job in FLOW:
            module = importlib.import_module(f"jobs.{job.name}")
            watched = _watched(job, module.run, looked)
            patches.enter_context(patch.object(module, "run", watched))
        yield looked


def _watched(job: Job, run: Callable[[Step], Outcome], looked: Looked) -> Callable[[Step], Outcome]:
    def run_watched(step: Step) -> Outcome:
        (day,) = step.days
        days: set[tuple[str, date]] = set()
        config: Any = WatchedConfig(step.config, looked.sections[job.name])
        outcome = run(replace(step, config=config, tables=WatchedTables(step.tables, days)))
        looked.days[job.name, day] |= {(name, at) for name, at in days if name not in job.writes}
        return outcome

    return run_watched

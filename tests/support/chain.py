"""The whole chain on a tiny marketplace, without Java: real jobs, run as the runner runs them."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from jobs import FLOW
from jobs.landing.sources import Source
from jobs.planning.landed_logs import LANDED
from jobs.planning.planner import PlannedStep
from jobs.planning.record import Record, read_records
from jobs.planning.runner import Runner
from jobs.setup.config import Config
from jobs.setup.config_layers import load_config
from jobs.step import Step
from jobs.storage.tables import Tables
from tests.support.local_spark import LocalSpark
from tests.support.world import Warehouse

SHORT_WINDOWS = (
    "history.search_days=2", "history.promoted_days=3", "training.search_days=2",
    "training.promoted_days=3", "training.learners_per_pass=2", "ensemble.days=2",
    "text_svd.refit_every_days=3",
)  # fmt: skip
"""So short that a few days have some inside and some outside of every window."""
SMALL_MODELS = (
    "text_svd.rank=4", "training.historical.bits=12", "training.content.bits=12",
)  # fmt: skip


class Silent:
    """Nobody is told how the run goes."""

    def planned(self, steps: Sequence[PlannedStep]) -> None:
        """Say nothing."""

    def started(self, step: PlannedStep) -> None:
        """Say nothing."""

    def finished(self, step: PlannedStep, seconds: float, rows: int | None) -> None:
        """Say nothing."""

    def failed(self, step: PlannedStep, seconds: float, problem: BaseException) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Chain(Warehouse):
    """A warehouse that is made in this process, and the settings that it is made with."""

    settings: tuple[str, ...] = (*SHORT_WINDOWS, *SMALL_MODELS)

    @property
    def config(self) -> Config:
        """Its configuration."""
        return load_config(settings=self.settings, environment={})

    @property
    def runner(self) -> Runner:
        """A runner over what has landed now."""
        tables = Tables(self.address, LocalSpark, self.config.storage.part_rows)  # type: ignore[arg-type]
        if "://" not in self.address:
            self.root.mkdir(parents=True, exist_ok=True)
        tables.create(["runs"])
        source = Source.load(self.config.source.name, self.landing)
        return Runner(self.config, source, tables, "run", Silent())

    @property
    def records(self) -> dict[tuple[str, date], Record]:
        """What counts as made."""
        return read_records(self.tables)

    def make(self, job: str, *days: date) -> list[PlannedStep]:
        """Make days of a job and all that they need."""
        return self.runner.run([(job, day) for day in days])

    def make_alone(self, like: Chain, jobs: Collection[str] = ()) -> None:
        """Make each day that another chain has made in a step of its own, unchecked, unrecorded.

        Of `jobs` only, where any are named.
        """
        records = like.records
        source = Source.load("canonical", self.landing)
        tables = Tables(str(self.root), LocalSpark, self.config.storage.part_rows)  # type: ignore[arg-type]

        def available(name: str) -> set[date]:
            landed = set(source.days(name)) if name in LANDED else set()
            return landed | {at for job, at in records if job == name}

        for job in (job for job in FLOW if job.name in jobs or not jobs):
            module = importlib.import_module(f"jobs.{job.name}")
            for at in sorted(made for name, made in records if name == job.name):
                fingerprints = {at: records[job.name, at].fingerprint}
                module.run(Step(tables, self.config, source, [at], "run", fingerprints, available))

    def duplicate(self, folder: Path) -> Chain:
        """The same tables and landing files elsewhere, to be changed."""
        shutil.copytree(self.root, folder / "warehouse")
        shutil.copytree(self.landing, folder / "landing")
        return replace(self, root=folder / "warehouse", landing=folder / "landing")


@dataclass(frozen=True)
class StoredChain(Chain):
    """One whose tables are in a bucket, under the name of its folder."""

    bucket: str = ""

    @property
    def address(self) -> str:
        """Where its tables are."""
        return f"{self.bucket}/{self.root.name}"

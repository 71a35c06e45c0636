"""Tiny marketplaces, and the command line on them: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs.__main__ import main
from jobs.landing.sources import Source
from jobs.storage.tables import Tables
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.marketplace import simulate
from schemas.catalog import TABLES

START = date(2026, 1, 1)
LOGS = ("impressions", "clicks", "listings")


def tiny(days: int, **changes: Any) -> SimulationConfig:
    """A marketplace in which a day is a second's work, clicked often enough to learn from."""
    small = {
        "start": START,
        "search_impressions_per_day": 500,
        "promoted_impressions_per_day": 500,
        "listings": 60,
        "users": 50,
        "queries": 20,
        "shops": 8,
        "categories": 8,
        "topics": 4,
        "promoted_click_rate": 0.12,
        "cold_click_rate": 0.08,
        "search_click_rate": 0.2,
    }
    return SimulationConfig(days=days, **(small | changes))


def day(number: int) -> date:
    """The n-th day of a tiny marketplace, from 1."""
    return START + timedelta(days=number - 1)


@dataclass(frozen=True)
class World:
    """Landing files and, apart from them, the truth."""

    folder: Path
    config: SimulationConfig

    @classmethod
    def make(cls, folder: Path, config: SimulationConfig) -> World:
        """Simulate."""
        simulate(config, folder / "landing", folder / "truth")
        return cls(folder, config)

    @property
    def landing(self) -> Path:
        """Where the chain reads."""
        return self.folder / "landing"

    def copy(self, target: Path, *, days: int | None = None) -> Path:
        """Another landing directory with the same files, of the first days only where told.

        As in the morning after the last of these days, the next day's clicks are there up to two
        o'clock. Modification times are kept: they are part of what a result was made from.
        """
        for log in LOGS:
            for source in sorted((self.landing / log).iterdir()):
                of = date.fromisoformat(source.name.removeprefix("ds="))
                if days is None or of <= day(days):
                    shutil.copytree(source, target / log / source.name, dirs_exist_ok=True)
        if days is not None:
            self._early_clicks(target, day(days + 1))
        return target

    def _early_clicks(self, target: Path, of: date) -> None:
        name = f"clicks/ds={of}/part-00000.parquet"
        clicks = pq.ParquetFile(self.landing / name).read()
        until = datetime.combine(of, datetime.min.time()) + timedelta(hours=2)
        times = clicks["ts"].cast("timestamp[us]").to_pylist()
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(clicks.filter([at < until for at in times]), target / name)


@dataclass(frozen=True)
class Called:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Warehouse:
    """Tables made from a landing directory."""

    root: Path
    landing: Path

    @property
    def reports(self) -> Path:
        """Where its reports go."""
        return self.root.parent / f"{self.root.name}-reports"

    @property
    def tables(self) -> Tables:
        """Its tables, for reading without Spark."""
        return Tables(self.address)

    @property
    def address(self) -> str:
        """Where its tables are."""
        return str(self.root)

    @property
    def places(self) -> list[str]:
        """The arguments that say where it is."""
        return [
            *("--root", str(self.root), "--landing", str(self.landing)),
            *("--set", f"storage.reports={str(self.reports)!r}"),
        ]

    def call(self, *words: str) -> Called:
        """A command on it, in this process and its warm session."""
        return call([*words, *self.places])

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """A command on it, in a process of its own; its lines can be read as they come."""
        return start([*words, *self.places], environment)

    def copy(self, root: Path, landing: Path | None = None) -> Warehouse:
        """The same tables elsewhere."""
        shutil.copytree(self.root, root)
        return Warehouse(root, landing or self.landing)

    def rows(self, table: str, *days: date, without: Sequence[str] = ()) -> list[str]:
        """Every value of some days, as text that tells all bits apart, in the order of the key."""
        found = self.tables.read_arrow(table, days or None).drop_columns(list(without))
        keys = TABLES[table].keys
        read = found.sort_by([(key, "ascending") for key in keys]) if keys else found
        lines = [repr(row) for row in read.to_pylist()]
        return lines if keys else sorted(lines)

    def planned(self, *days: date) -> list[str]:
        """Names of the jobs that `run` would do."""
        from jobs.planning.planner import Planner
        from jobs.planning.publications import publish_targets
        from jobs.planning.record import read_records
        from jobs.setup.config_layers import load_config

        source = Source.load("canonical", self.landing)
        present = {name: self.tables.days(name) for name in TABLES if TABLES[name].partition_by}
        planner = Planner(load_config(environment={}), source, read_records(self.tables), present)
        return [step.job.name for step in planner.due(publish_targets(days))]


def call(words: Sequence[str]) -> Called:
    """A command in this process."""
    out, err = io.StringIO(), io.StringIO()
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        signal.signal(signal.SIGTERM, handler)
    return Called(code, out.getvalue(), err.getvalue())


def start(words: Sequence[str], environment: Mapping[str, str] | None = None) -> Any:
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "jobs", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        cwd=Path(__file__).parents[2],
    )


def finish(process: subprocess.Popen[str], seconds: float = 300) -> Called:
    """Wait for a process of its own."""
    out, err = process.communicate(timeout=seconds)
    return Called(process.returncode, out, err)


def spark_settings(path: Path, **settings: str | int) -> Path:
    """A configuration file with Spark settings: `master`, and any other with _ for the dots."""
    master = settings.pop("master", None)
    lines = ["[spark]", *([f'master = "{master}"'] if master else []), "[spark.settings]"]
    lines += [f'"{name.replace("_", ".")}" = "{value}"' for name, value in settings.items()]
    path.write_text("\n".join(lines) + "\n")
    return path

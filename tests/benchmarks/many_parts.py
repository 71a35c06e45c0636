"""A day in any number of parts, on any master, with parts of the cluster killed: the same bits.

``python -m tests.benchmarks.many_parts --rows 100000 --parts 2 7 64 [--files 1 400] [--kill]``
makes days of a drawn world once in one part by one task at a time, then again as asked for, and
compares every table row by row. With ``--kill`` the last way is gone once more while an executor
and a Python worker are killed in the middle of each step that has several tasks.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from jobs import FLOW
from schemas.catalog import TABLES
from tests.benchmarks.scale_world import ScaleWorld
from tests.support.world import Warehouse

WIDE = (
    "ingest_logs", "label_impressions", "count_entities", "build_history", "sample_training",
    "build_features", "build_joint_rows", "predict_traffic", "score_listings",
)  # fmt: skip
"""Steps whose days are made by several tasks."""
CLUSTER = "local-cluster[2,1,1024]"
WHEN = {"an executor": 0.35, "a Python worker": 0.7}
"""What is killed after which share of the time that a step takes."""
OF_THE_RUN = ("run_id",)
"""Columns that tell runs apart."""


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, run, compare, print."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.many_parts", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="impressions a day")
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--parts", type=int, nargs="+", default=[2, 7, 64])
    parser.add_argument("--files", type=int, nargs="+", default=[1], help="a day of impressions")
    parser.add_argument("--master", nargs="+", default=["local[2]", CLUSTER])
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        world = ScaleWorld(given.rows, given.days)
        ways = [
            Way(Path(folder), world, files, parts, master)
            for files in given.files
            for parts in given.parts
            for master in given.master
        ]
        first = Way(Path(folder), world, 1, 1, "local[1]")
        world.write(first.landing)
        for files in set(given.files) - {1}:
            cut(first.landing, replace(first, files=files).landing, files)
        first.run()
        expected = first.digests()
        for way in ways:
            walls = {step["step"]: step["wall"] for step in way.told(expected)["steps"]}
        if given.kill:
            way.told(
                expected,
                {step: {role: at * walls[step] for role, at in WHEN.items()} for step in WIDE},
            )


def cut(landing: Path, other: Path, files: int) -> None:
    """The same logs, with impressions of a day in so many files."""
    shutil.copytree(landing, other)
    for path in (other / "impressions").rglob("*.parquet"):
        rows = pq.read_table(path, partitioning=None)
        path.unlink()
        bounds = [len(rows) * k // files for k in range(files + 1)]
        for number, (start, end) in enumerate(pairwise(bounds)):
            pq.write_table(rows.slice(start, end - start), path.with_name(f"part-{number}.parquet"))


@dataclass(frozen=True)
class Way:
    """One way to make the same days."""

    folder: Path
    world: ScaleWorld
    files: int
    parts: int
    master: str

    @property
    def landing(self) -> Path:
        """Where the logs are."""
        return self.folder / f"landing-{self.files}"

    @property
    def root(self) -> Path:
        """The warehouse, which replaces the one before."""
        return self.folder / "warehouse"

    def run(self, kill: Mapping[str, Mapping[str, float]] | None = None) -> dict[str, Any]:
        """What the run says of itself."""
        shutil.rmtree(self.root, ignore_errors=True)
        # A day of so many rows has so many parts.
        settings = [f"storage.part_rows={-(-self.world.rows // self.parts)}",
                    f'spark.master="{self.master}"', "spark.small_rows=0"]  # fmt: skip
        command = [sys.executable, "-m", "tests.benchmarks.one_run"]
        command += ["--date", str(self.world.last)]
        command += ["--landing", str(self.landing), "--root", str(self.root)]
        command += [word for setting in settings for word in ("--set", setting)]
        if kill is not None:
            command += ["--kill", json.dumps(kill)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def digests(self) -> dict[str, str]:
        """A digest of every table that the run has made."""
        warehouse = Warehouse(self.root, self.landing)
        found = {}
        for name in sorted(table for job in FLOW for table in job.writes):
            if warehouse.tables.exists(name):
                columns = TABLES[name].column_names
                rows = warehouse.rows(name, without=[c for c in OF_THE_RUN if c in columns])
                found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return found

    def told(
        self,
        expected: Mapping[str, str],
        kill: Mapping[str, Mapping[str, float]] | None = None,
    ) -> dict[str, Any]:
        """Run, and print whether all tables are as expected."""
        result = self.run(kill)
        made = self.digests()
        others = [name for name in expected if made.get(name) != expected[name]]
        same = f"DIFFERENT: {', '.join(others)}" if others else f"{len(expected)} tables the same"
        how = f"{self.parts} parts, {self.files} files a day, {self.master}"
        print(f"{same}; {how}; {result['cpu']:.0f} CPU-s, {result['wall']:.0f} s", flush=True)
        if result["killed"]:
            print(f"  killed: {'; '.join(result['killed'])}", flush=True)
        return result


if __name__ == "__main__":
    main()

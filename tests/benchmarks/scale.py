"""Cost and memory of the chain on days of any size.

``python -m tests.benchmarks.scale --rows 500000 2000000`` draws worlds of so many impressions a
day, runs the chain over them and prints, step by step, CPU seconds a million impressions and the
largest memory of the driver, of all JVMs together and of a Python worker.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.scale_world import ScaleWorld

_MIB = 2**20
ROLES = ("driver", "jvm", "worker")


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, run, print."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", required=True, help="impressions a day")
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--files", type=int, default=1, help="landing files a day of impressions")
    parser.add_argument("--skewed", action="store_true", help="one user, query, listing: a fifth")
    parser.add_argument("--set", action="append", default=[], help="a setting of the run")
    parser.add_argument("--master", help="such as local-cluster[2,1,1024]; local[2] if not named")
    given = parser.parse_args(argv)
    settings = list(given.set)
    if given.master:
        settings.append(f'spark.master="{given.master}"')
    for rows in given.rows:
        world = ScaleWorld(rows, given.days, given.files, skewed=given.skewed)
        with tempfile.TemporaryDirectory() as folder:
            world.write(Path(folder) / "landing")
            result = run_once(world, Path(folder), settings)
        print(f"{rows:,} impressions a day, {given.days} days, {given.files} files a day")
        print("\n".join(table_of(result, rows * given.days)), flush=True)


def run_once(world: ScaleWorld, folder: Path, settings: Sequence[str]) -> Mapping[str, Any]:
    """The last day by one run, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.one_run", "--date", str(world.last)]
    command += ["--landing", str(folder / "landing"), "--root", str(folder / "warehouse")]
    command += [word for setting in settings for word in ("--set", setting)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def table_of(result: Mapping[str, Any], impressions: int) -> list[str]:
    """Lines of a table in Markdown."""
    millions = impressions / 1e6
    lines = ["| step | CPU-s | a million | driver MiB | JVMs MiB | worker MiB |"]
    lines.append("|---|---|---|---|---|---|")
    total = {
        "step": "all",
        "cpu": sum(step["cpu"] for step in result["steps"]),
        "peak": result["by_role"],
    }
    for step in [*result["steps"], total]:
        peaks = [f"{step.get('peak', {}).get(role, 0) / _MIB:,.0f}" for role in ROLES]
        cost = [f"{step['cpu']:.1f}", f"{step['cpu'] / millions:.2f}"]
        lines.append(f"| {' | '.join([step['step'], *cost, *peaks])} |")
    return lines


if __name__ == "__main__":
    main()

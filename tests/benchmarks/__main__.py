"""What every stage costs: ``make bench``, or ``python -m tests.benchmarks [--full]``.

Runs the chain on a simulated world of one and of four times the size, each in a process of its
own, and then the next day alone; prints CPU seconds per stage and per million impressions, and how
the cost grows. CPU seconds count driver, JVM and Python workers; walls depend on the neighbours.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.marketplace import simulate

Figures = dict[str, Any]


def world(days: int, per_day: int) -> SimulationConfig:
    """A world of `per_day` impressions on each of the two surfaces."""
    return SimulationConfig(
        days=days, search_impressions_per_day=per_day, promoted_impressions_per_day=per_day
    )


def run(folder: Path, config: SimulationConfig) -> Figures:
    """Simulate what is missing, run the last day in a new process, give what it cost."""
    simulate(config, folder / "landing", folder / "truth")
    arguments = {
        "--landing": str(folder / "landing"),
        "--root": str(folder / "warehouse"),
        "--date": str(config.last_day),
    }
    command = [sys.executable, "-m", "tests.benchmarks.one_run"]
    for name, value in arguments.items():
        command += [name, value]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def by_step(figures: Figures) -> dict[str, float]:
    """CPU seconds per step; the session's start apart from the step that needed it."""
    cpu: dict[str, float] = defaultdict(float)
    for step in figures["steps"]:
        cpu[step["step"]] += step["cpu"]
    cpu["ingest_logs"] -= cpu["session start"]
    return dict(cpu)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--full", action="store_true",
        help="37 days of 60,000 + 60,000 impressions and four times as many, not 14 of 15,000",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="leave out the world of four times")
    given = parser.parse_args()
    days, per_day = (37, 60_000) if given.full else (14, 15_000)
    console = Console()
    table = Table(title=f"CPU seconds, {days} days from landing files to scores")
    sizes = [1] if given.once else [1, 4]
    results: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for factor in sizes:
            folder = Path(scratch) / f"x{factor}"
            results[f"{factor} x"] = run(folder, world(days, factor * per_day))
            if factor == 1:
                results["next day"] = run(folder, world(days + 1, per_day))
    table.add_column("step")
    for name in results:
        table.add_column(name, justify="right")
    if len(sizes) > 1:
        table.add_column("growth", justify="right")
    costs = {name: by_step(figures) for name, figures in results.items()}
    for step in costs["1 x"]:
        row = [f"{costs[name].get(step, 0.0):.1f}" for name in results]
        if len(sizes) > 1:
            row.append(f"{costs['4 x'][step] / max(costs['1 x'][step], 0.05):.1f} x")
        table.add_row(step, *row)
    total = [f"{figures['cpu']:.1f}" for figures in results.values()]
    if len(sizes) > 1:
        total.append(f"{results['4 x']['cpu'] / results['1 x']['cpu']:.1f} x")
    table.add_section()
    table.add_row("whole process", *total)
    millions = {
        "1 x": days * per_day * 2e-6,
        "4 x": days * per_day * 8e-6,
        "next day": per_day * 2e-6,
    }
    table.add_row(
        "per million impressions",
        *(f"{figures['cpu'] / millions[name]:.1f}" for name, figures in results.items()),
    )
    table.add_row("wall seconds", *(f"{figures['wall']:.0f}" for figures in results.values()))
    table.add_row(
        "peak memory, GB", *(f"{figures['bytes'] / 1e9:.2f}" for figures in results.values())
    )
    console.print(table)
    if len(sizes) > 1:
        more = results["4 x"]["cpu"] - results["1 x"]["cpu"]
        per_million = more / (millions["4 x"] - millions["1 x"])
        fixed = results["1 x"]["cpu"] - per_million * millions["1 x"]
        console.print(
            f"{per_million:.1f} CPU seconds per further million impressions, "
            f"{fixed:.0f} whatever the size"
        )


if __name__ == "__main__":
    main()

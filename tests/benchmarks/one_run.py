"""One run of the chain in a process of its own; prints what each step cost as one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date

from jobs.landing.sources import Source
from jobs.planning.planner import PlannedStep
from jobs.planning.publications import publish_targets
from jobs.planning.runner import Runner
from jobs.setup.config_layers import load_config
from jobs.setup.exits import QualityStop
from jobs.setup.session import start_session
from jobs.storage.tables import Tables
from tests.benchmarks.processes import PeakMemory, cpu_seconds
from tests.support.spark_nights import kill, of_role


class Meter:
    """Progress that notes what each step cost."""

    def __init__(self) -> None:
        self.steps: list[dict[str, object]] = []
        self.memory = PeakMemory()
        self.killed: list[str] = []
        self._cpu, self._wall = 0.0, 0.0

    def planned(self, steps: Sequence[PlannedStep]) -> None:
        """Nothing to note."""

    def started(self, step: PlannedStep) -> None:
        """A step begins."""
        self._cpu, self._wall = self.memory.cpu_seconds(), time.monotonic()
        self.memory.begin()

    def finished(self, step: PlannedStep, seconds: float, rows: int | None) -> None:
        """A step is whole."""
        self.steps.append(
            {
                "step": step.job.name,
                "days": len(step.days),
                "rows": rows,
                "cpu": self.memory.cpu_seconds() - self._cpu,
                "wall": time.monotonic() - self._wall,
                "peak": self.memory.since_begun(),
            }
        )

    def failed(self, step: PlannedStep, seconds: float, problem: BaseException) -> None:
        """A step did not end well: the exception tells."""


class Killing(Meter):
    """Kills parts of the cluster while steps run.

    Parameters
    ----------
    times : mapping of str to mapping
        Seconds from the beginning of a step, by the step and by what is killed (`ROLES`).
    """

    def __init__(self, times: Mapping[str, Mapping[str, float]]) -> None:
        super().__init__()
        self.times = times

    def started(self, step: PlannedStep) -> None:
        """A step begins."""
        super().started(step)
        for role, after in self.times.get(step.job.name, {}).items():
            threading.Timer(after, self._kill, (step.job.name, role)).start()

    def _kill(self, step: str, role: str) -> None:
        there = of_role(os.getpid(), role)
        # The daemon is the first of a Python worker's processes; those that work are its children.
        if there and kill(there[-1]):
            self.killed.append(f"{role} in {step}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landing", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--kill", help="JSON: when to kill in which step, as of `Killing`")
    given = parser.parse_args()
    config = load_config(
        settings=[
            f'storage.landing="{given.landing}"', f'storage.root="{given.root}"', *given.settings,
        ]
    )  # fmt: skip
    meter = Killing(json.loads(given.kill)) if given.kill else Meter()

    def start() -> object:
        before, begun = cpu_seconds(), time.monotonic()
        session = start_session(config, "benchmark")
        meter.steps.append(
            {
                "step": "session start", "days": 0, "rows": None,
                "cpu": cpu_seconds() - before, "wall": time.monotonic() - begun,
            }
        )  # fmt: skip
        return session

    tables = Tables(given.root, start, config.storage.part_rows)  # type: ignore[arg-type]
    tables.create(["runs"])
    runner = Runner(config, Source.load("canonical", given.landing), tables, "benchmark", meter)
    begun = time.monotonic()
    with meter.memory as memory, suppress(QualityStop):
        # A gate may be right about a drawn world; what it cost is known either way.
        runner.run(publish_targets([given.date]))
    total = {
        "cpu": memory.cpu_seconds(),
        "wall": time.monotonic() - begun,
        "bytes": memory.bytes,
        "by_role": memory.by_role,
        "killed": meter.killed,
    }
    print(json.dumps({"steps": meter.steps, **total}))


if __name__ == "__main__":
    main()

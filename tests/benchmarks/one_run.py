"""One run of the chain in a process of its own; prints what each step cost as one line of JSON."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
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


class Meter:
    """Progress that notes what each step cost."""

    def __init__(self) -> None:
        self.steps: list[dict[str, object]] = []
        self.memory = PeakMemory()
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


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landing", required=True)
    parser.add_argument("--root", required=True)
    parser.add_argument("--date", type=date.fromisoformat, required=True)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    given = parser.parse_args()
    config = load_config(
        settings=[
            f'storage.landing="{given.landing}"', f'storage.root="{given.root}"', *given.settings,
        ]
    )  # fmt: skip
    meter = Meter()

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
    }
    print(json.dumps({"steps": meter.steps, **total}))


if __name__ == "__main__":
    main()

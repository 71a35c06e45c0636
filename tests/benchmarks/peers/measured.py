"""What a command costs: CPU seconds and peak memory of all its processes."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.processes import cpu_seconds, resident_bytes

_LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Cost:
    """CPU seconds, user and system, and the most memory held at once, in bytes."""

    cpu: float
    bytes: int


def run_measured(command: Sequence[str], log: Path) -> tuple[int, Cost]:
    """Run a command, its output into a file; give its exit code and what it cost.

    A worker that outlives its parent is not in the operating system's sum, one that ends before
    it is not in the process table: the larger of both counts.
    """
    before = _ended_children()
    cpu, most = 0.0, 0
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while True:
            try:
                process.wait(_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                cpu = max(cpu, cpu_seconds(process.pid))
                most = max(most, resident_bytes(process.pid))
    return process.returncode, Cost(max(cpu, _ended_children() - before), most)


def _ended_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime

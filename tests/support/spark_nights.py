"""Bad nights of a run with a real JVM: its executors, their Python workers, and itself are killed.

The run has two executors in processes of their own. What comes after it needs no JVM: the bits are
the same (`tests/e2e/test_same_bits.py`).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.benchmarks.processes import process_tree
from tests.support.bad_nights import Fault, Night
from tests.support.cluster import QUICK
from tests.support.world import Called, finish, start

CLUSTER = (
    "spark.master='local-cluster[2,1,512]'",
    "spark.settings.'spark.executor.memory'='512m'",
    f"spark.settings.'spark.executor.extraJavaOptions'='{QUICK}'",
)
ROLES = {
    "an executor": "CoarseGrainedExecutorBackend",
    "a Python worker": "pyspark.daemon",
    "the driver's JVM": "org.apache.spark.deploy.SparkSubmit",
}
"""What the command line of each holds."""
ENDS_WITHIN_S = 900
WORKS_FOR_S = 8.0
"""How long executors have work on so small a day, about."""


def killed_with_spark(role: str, night: Night, draw: random.Random) -> tuple[str, list[Called]]:
    """Kill a part of a run, at any time from when it is there; executors perhaps twice."""
    words = night.words()
    for setting in CLUSTER:
        words += ["--set", setting]
    process = start(words)
    killed = []
    for _ in range(draw.randint(1, 2)):
        after = draw.uniform(0, WORKS_FOR_S)
        if (victim := _wait_for(lambda: of_role(process.pid, role), process)) is None:
            break
        time.sleep(after)
        # Who was there first may have ended meanwhile.
        there = of_role(process.pid, role) or [victim[0]]
        if process.poll() is None and kill(draw.choice(there)):
            killed.append(f"{after:.2f} s")
    return f"{role} killed {' and '.join(killed) or 'never'}", [finish(process, ENDS_WITHIN_S)]


def _wait_for(found: Callable[[], list[int]], process: subprocess.Popen[str]) -> list[int] | None:
    deadline = time.monotonic() + ENDS_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        if there := found():
            return there
        time.sleep(0.05)
    return None


def of_role(pid: int, role: str) -> list[int]:
    """Processes of a role that another one has started, in the order of their numbers."""
    return [own for own in sorted(process_tree(pid))[1:] if ROLES[role] in _command(own)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def kill(pid: int) -> bool:
    """End a process at once; False where it has ended already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def spark_faults() -> dict[str, tuple[Fault, int]]:
    """Every fault, and how often it is drawn."""
    weights = {"an executor": 2, "a Python worker": 2, "the driver's JVM": 1}
    return {f"killed {role}": (partial(killed_with_spark, role), n) for role, n in weights.items()}

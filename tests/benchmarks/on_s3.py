"""The chain on a server of S3 on loopback against a disk: CPU of driver, JVM and workers.

``python -m tests.benchmarks.on_s3 [--pairs 3] [--market tiny] [--spark]``. A run makes a whole
warehouse and a second one the day after, each in a process of its own; with ``--spark`` every step
by Spark, else what is small without it. The server is not counted. Disk and server take turns, and
the order changes from pair to pair; one pair before them fills the caches of compiled kernels.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from pyarrow import fs

from jobs.landing.sources import Source
from jobs.setup.exits import ExitCode
from pipelines.simulation.draw_market import market_config
from tests.benchmarks.processes import PeakMemory
from tests.support.object_store import bucket_at_hand
from tests.support.world import World, tiny

SETTINGS = ("quality.great_expectations=false",)
"""What looks at documents that are on a disk in either case."""


def main() -> None:
    """Print CPU seconds of each pair, and the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--pairs", type=int, default=3, metavar="N")
    parser.add_argument("--market", choices=("tiny", "small"), default="small")
    parser.add_argument("--days", type=int, default=12, metavar="N")
    parser.add_argument("--spark", action="store_true", help="every step by Spark")
    given = parser.parse_args()
    ratios: dict[str, list[float]] = {"whole warehouse": [], "next day": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bucket = stack.enter_context(bucket_at_hand(folder / "store"))
        small = market_config(1, "small", days=given.days)
        market = small if given.market == "small" else tiny(given.days)
        world = World.make(folder / "world", market)
        target, path = fs.FileSystem.from_uri(f"{bucket}/landing")
        fs.copy_files(str(world.landing), path, destination_filesystem=target)
        last = Source.load("canonical", world.landing).last_complete_day()
        assert last is not None
        settings = ["spark.small_rows=0"] if given.spark else []
        for pair in range(-1, given.pairs):
            places = {
                "disk": (str(folder / f"disk-{pair}"), str(world.landing)),
                "s3": (f"{bucket}/s3-{pair}", f"{bucket}/landing"),
            }
            turns = list(places) if pair % 2 == 0 else list(reversed(places))
            for what, day in (("whole warehouse", last - timedelta(days=1)), ("next day", last)):
                cost = {turn: run(*places[turn], str(day), settings) for turn in turns}
                if pair < 0:
                    continue
                ratios[what].append(cost["s3"] / cost["disk"])
                print(
                    f"pair {pair}, {what}: disk {cost['disk']:.1f} CPU-s, s3 {cost['s3']:.1f}, "
                    f"ratio {ratios[what][-1]:.3f}", flush=True,
                )  # fmt: skip
    for what, values in ratios.items():
        print(f"{what}: median ratio {statistics.median(values):.3f} of {len(values)}")


def run(root: str, landing: str, day: str, settings: Sequence[str]) -> float:
    """CPU seconds of a run and all that it starts."""
    command = [sys.executable, "-m", "jobs", "run", "--root", root, "--landing", landing]
    command += ["--date", day]
    for setting in (*SETTINGS, *settings):
        command += ["--set", setting]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with PeakMemory(process.pid) as watched:
        _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    # A gate may be right about a drawn world; what it cost is known either way.
    assert code in (ExitCode.DONE, ExitCode.QUALITY), process.stderr and process.stderr.read()
    # Nobody waits for the JVM and its workers.
    return used.ru_utime + used.ru_stime + watched.cpu_seconds_besides()


if __name__ == "__main__":
    main()

"""The chain on a server of S3 on loopback against a disk: CPU of driver, JVM and workers.

``python -m tests.benchmarks.on_s3 [--pairs 3] [--market tiny] [--spark]``. A run makes a whole
warehouse and a second one the day after, each in a process of its own; with ``--spark`` every step
by Spark, else what is small without it. The server is not counted. Disk and server take turns, and
the order changes from pair to pair; one pair before them fills the caches of compiled kernels.
"""

from __future__ import annotations

import argparse
import json
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
from pipelines.simulation.draw_market import market_config
from tests.support.object_store import bucket_at_hand
from tests.support.world import World, tiny


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
    """CPU seconds of a run."""
    command = [sys.executable, "-m", "tests.benchmarks.one_run"]
    command += ["--root", root, "--landing", landing, "--date", day]
    for setting in settings:
        command += ["--set", setting]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    cpu: float = json.loads(ended.stdout.splitlines()[-1])["cpu"]
    return cpu


if __name__ == "__main__":
    main()

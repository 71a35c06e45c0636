"""Two drivers make the same days at once, unlocked, many times: afterwards all is as if one had.

``python -m tests.benchmarks.driver_races [--races 50] [--root s3]``. The drivers differ in a
setting, so that a record which names rows of the other one would show. Both may be told that the
other wrote; the next run alone then gives what an undisturbed warehouse holds. ``--root s3`` keeps
the warehouses in a server of S3 on loopback.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.support.chain import Chain, StoredChain
from tests.support.driver_races import digests, race_drivers
from tests.support.object_store import bucket_at_hand
from tests.support.world import World, day, tiny


def main() -> int:
    """Race; 1 where a warehouse was left wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--root", choices=("local", "s3"), default="local")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    days = [day(4)]
    codes: Counter[tuple[int, ...]] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        bucket = ""
        if arguments.root == "s3":
            bucket = stack.enter_context(bucket_at_hand(folder / "store"))
        landing = World.make(folder / "world", tiny(4)).landing
        alone = Chain(folder / "alone", landing)
        alone.make("publish_scores", *days)
        expected = digests(alone)
        for number in range(arguments.races):
            raced: Chain = replace(alone, root=folder / str(number))
            if bucket:
                raced = StoredChain(raced.root, landing, alone.settings, bucket)
            delays = [0.0, draw.choice([0.0, draw.uniform(0, 0.5), draw.uniform(0, 6)])]
            draw.shuffle(delays)
            ended = race_drivers(raced, days, delays)
            codes[tuple(ended)] += 1
            raced.make("publish_scores", *days)
            found = digests(raced)
            differing = sorted(name for name in expected if found[name] != expected[name])
            told = all(code in (0, 30) for code in ended)
            if differing or not told:
                wrong += 1
                print(
                    f"race {number}, delays {delays}, exit codes {ended}: {differing}", flush=True
                )
    for ended, count in sorted(codes.items()):
        print(f"exit codes {ended}: {count}")
    print(f"{wrong} of {arguments.races} warehouses were left wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

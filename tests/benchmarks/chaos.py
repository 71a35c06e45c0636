"""Bad nights, drawn from seeds: after each the next run ends as an undisturbed one.

``python -m tests.benchmarks.chaos [--faults 100] [--seed 1] [--root s3] [--spark] [--only NAME]``.
Each fault is drawn from its own seed, seed + number: ``--faults 1 --seed S`` repeats one. ``--root
s3`` keeps the warehouses in a server of S3 on loopback. Ten to twenty seconds a fault on a busy
core. With ``--spark`` the run that it happens to has a JVM and two executors, of which parts are
killed: a minute or two.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.support.bad_nights import Grounds, night_of, spend
from tests.support.night_faults import faults, names
from tests.support.object_store import bucket_at_hand
from tests.support.spark_nights import spark_faults


def main() -> int:
    """Run the campaign; 1 where a night ended wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--faults", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--root", choices=("local", "s3"), default="local")
    parser.add_argument("--spark", action="store_true", help="kill parts of a run with a JVM")
    parser.add_argument("--only", metavar="NAME", help="one kind of fault, such as 'full disk'")
    given = parser.parse_args()
    ended: Counter[tuple[str, bool]] = Counter()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        bucket = ""
        if given.root == "s3":
            bucket = stack.enter_context(bucket_at_hand(folder / "store"))
        (folder / "grounds").mkdir()
        grounds = Grounds(folder / "grounds")
        drawn = spark_faults() if given.spark else faults(local=not bucket)
        for number in range(given.faults):
            draw = random.Random(given.seed + number)
            name = given.only or draw.choice(names(drawn))
            kind = draw.choice([grounds.new_day, grounds.day_again])
            began = time.monotonic()
            with night_of(kind, folder / f"{number}", bucket) as night:
                ending = spend(night, drawn[name][0], draw)
            ended[name, not ending.wrong] += 1
            verdict = f"WRONG: {ending.wrong}" if ending.wrong else "right"
            print(
                f"seed {given.seed + number}: {kind.name}, {name}: {ending.what}: {verdict} "
                f"({time.monotonic() - began:.1f} s)",
                flush=True,
            )
            for step in ending.steps:
                print(f"    {step[:600]}", flush=True)
    for (name, is_right), count in sorted(ended.items()):
        print(f"{name:20} {'right' if is_right else 'WRONG':5} {count:4}")
    wrong = sum(count for (_, is_right), count in ended.items() if not is_right)
    print(f"{given.faults - wrong} of {given.faults} nights ended as undisturbed ones")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Faults in one landing file of a small world, drawn from seeds, and what must hold after each.

``python -m tests.benchmarks.strange_logs [--faults 500] [--seed 1] [--job run] [--only NAME]
[--seconds S] [--together N]``.
Never a stack trace or an exit code that nobody can act on; never a row or file that is neither
accepted, refused nor named as not read; never a published day that a gate's interval excludes. Each
fault is drawn from its own seed, seed + number: ``--faults 1 --seed S`` repeats one. Five to twenty
seconds a fault; ``--job ingest_logs`` stops after the logs, in a third of it, and ``--together 40``
ingests ranges of so many days with a fault each, in a fifth of that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.support.strange_logs import Ending, Grounds, as_json, spend_together


def main() -> int:
    """Run the campaign; 1 where something did not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--faults", type=int, default=500, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--job", default="run", help="run, or a job: what is made of the day")
    parser.add_argument("--only", default="", metavar="NAME", help="faults whose name has this")
    parser.add_argument("--seconds", type=float, help="start no fault after so long")
    parser.add_argument("--together", type=int, default=0, metavar="N", help="days of a range")
    given = parser.parse_args()
    ended: Counter[tuple[str, int]] = Counter()
    wrong, done, began = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        for ending in endings(given, Path(temporary)):
            done += 1
            wrong += bool(ending.wrong)
            ended[ending.fault.name, ending.called.code] += 1
            print(f"{ending}"[:300], flush=True)
            if ending.wrong:
                print(f"  WRONG: {as_json(ending)}", flush=True)
    print("\n| fault | 0 | 2 | 10 | 20 | other |\n|---|---:|---:|---:|---:|---:|")
    for name in sorted({name for name, _ in ended}):
        codes = [ended.pop((name, code), 0) for code in (0, 2, 10, 20)]
        rest = sum(count for (other, _), count in ended.items() if other == name)
        print(f"| {name} | {' | '.join(map(str, codes))} | {rest} |")
    print(f"{done - wrong} of {done} faults ended as they should, {time.monotonic() - began:.0f} s")
    return int(wrong > 0)


def endings(given: argparse.Namespace, place: Path) -> Iterator[Ending]:
    """Each fault that was asked for, done, until the time is over."""
    began = time.monotonic()
    grounds = None if given.together else Grounds.make(place / "grounds")
    seeds = range(given.seed, given.seed + given.faults)
    for first in seeds[:: given.together or 1]:
        if given.seconds is not None and time.monotonic() - began > given.seconds:
            return
        with tempfile.TemporaryDirectory(dir=place) as folder:
            if grounds is None:
                own = range(first, min(first + given.together, seeds.stop))
                yield from spend_together(own, Path(folder), only=given.only)
            else:
                yield grounds.spend(first, Path(folder), job=given.job, only=given.only)


if __name__ == "__main__":
    sys.exit(main())

"""Two writers of one day at the same moment, many times: never a doubled or a lost row.

``python -m tests.benchmarks.writer_races [--races 1000] [--root s3]``. ``--root s3`` keeps the
warehouses in a server of S3 on loopback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.support.object_store import bucket_at_hand
from tests.support.races import races


def main() -> int:
    """Race; 1 where a race left the wrong rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--races", type=int, default=1000)
    parser.add_argument("--root", choices=("local", "s3"), default="local")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        base = folder
        if arguments.root == "s3":
            base = stack.enter_context(bucket_at_hand(Path(folder) / "store"))
        seen: Counter[tuple[str, bool, tuple[int, ...]]] = Counter()
        for race in races([f"{base}/{k}" for k in range(arguments.races)]):
            seen[race.kind, race.is_right, tuple(sorted(race.codes))] += 1
            if not race.is_right:
                print(race, flush=True)
    for (kind, is_right, codes), count in sorted(seen.items()):
        print(f"{kind:15} exit codes {codes}: {count:5} {'right' if is_right else 'WRONG'}")
    wrong = sum(count for (_, is_right, _), count in seen.items() if not is_right)
    print(f"{wrong} of {sum(seen.values())} races left wrong rows")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())

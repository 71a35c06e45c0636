"""How fast a server loads an exported day and scores from it.

Run as ``python -m tests.benchmarks.serving --root DIR``, on a warehouse with scores. The
requests are impressions of the day, in an order of their own and with listings drawn anew, so that
a row shares nothing with the row before it. One process; medians of five, of CPU seconds, which do
not count the neighbours, but for the start of Python, which is a process of its own.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from jobs.storage.tables import Tables
from pipelines.scorer.scorer import Scorer

TIMES = 5
LOAD = "from pipelines.scorer.scorer import Scorer; import sys; Scorer.load(sys.argv[1])"


def median_seconds(
    work: Callable[[], object], clock: Callable[[], float] = time.process_time
) -> float:
    """Median of CPU seconds, or by another clock."""
    taken = []
    for _ in range(TIMES):
        start = clock()
        work()
        taken.append(clock() - start)
    return statistics.median(taken)


def requests(tables: Tables, day: date, count: int) -> tuple[list[str], dict[str, list[Any]]]:
    """Listings and requests of rows."""
    random = np.random.default_rng(1)
    shown = tables.read_arrow("labeled_impressions", [day])
    listings = tables.read_arrow("listings", [day])["listing_id"].to_pylist()
    drawn = shown.take(random.integers(0, len(shown), count)).combine_chunks()
    names = ("user_id", "query", "device", "country", "position", "ts")
    columns = {name: drawn[name].to_pylist() for name in names}
    attributes = [dict(own or ()) for own in drawn["attributes"].to_pylist()]
    columns["attributes.page_type"] = [own.get("page_type") for own in attributes]
    return [listings[k] for k in random.integers(0, len(listings), count)], columns


def main() -> None:
    """Export, load, score."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--root", type=Path, required=True, help="a warehouse with scores")
    parser.add_argument("--rows", type=int, default=200_000, help="rows of a batch")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "scores.bin"
        words = ("export", "--staged", "--to", str(file), "--root", str(given.root))
        subprocess.run([sys.executable, "-m", "jobs", *words], check=True)
        scorer = Scorer.load(file)
        size = os.path.getsize(file) / 1e6
        load = median_seconds(lambda: Scorer.load(file))
        begin = median_seconds(
            lambda: subprocess.run([sys.executable, "-c", LOAD, str(file)], check=True),
            time.perf_counter,
        )
    day = date.fromisoformat(scorer.header["day"])
    names, columns = requests(Tables(str(given.root)), day, given.rows)
    whole = median_seconds(lambda: scorer.score(names, columns))
    one = {name: own[:1] for name, own in columns.items()}
    page = median_seconds(lambda: scorer.score(names[:48], one, [0] * 48))
    ids = sum(array.size for name, array in scorer._arrays.items() if name.endswith("/ids"))
    print(f"{len(scorer)} listings, {ids} ids, {size:.1f} MB")
    print(f"load {load:.3f} s, with the start of Python {begin:.2f} s")
    print(f"{given.rows} rows of as many requests: {given.rows / whole:,.0f} a second")
    print(f"one request, 48 listings: {page * 1e3:.1f} ms")


if __name__ == "__main__":
    main()

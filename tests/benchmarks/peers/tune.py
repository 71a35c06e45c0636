"""Tune a peer: ``python -m tests.benchmarks.peers.tune NAME``, on two markets that none judges.

From the constants in its file, each setting of its GRID is tried by itself, in the order of the
grid, and the best value is kept before the next: the sum over the markets of the excess relative
to the start's. That is what the peers are judged by, and more than an engineer would have: logs
hold no truth. The file of each peer says which of its constants are tuned.
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

from pipelines.models.segments import COLD, MIXED
from tests.benchmarks.peers.comparison import figures
from tests.benchmarks.peers.contenders import in_order
from tests.benchmarks.peers.markets import judged_rows, simulated
from tests.benchmarks.peers.measured import Cost
from tests.benchmarks.peers.one_peer import PEERS


def main() -> None:
    """Try, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--markets", default="101-medium,102-medium", help="seed-scale, ...")
    parser.add_argument("--keep", type=Path, help="where the markets are, or go")
    given = parser.parse_args()
    module, more = PEERS[given.name]
    peer = importlib.import_module(f"tests.benchmarks.peers.{module}")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(given.keep or temporary).absolute()
        markets = []
        for name in given.markets.split(","):
            seed, scale = name.split("-")
            market = simulated(int(seed), scale, place / name)
            markets.append((market, judged_rows(market)))

        def tried(settings: dict[str, object]) -> list[float]:
            """Excess on each market, printed with that of the cold."""
            losses = []
            for market, rows in markets:
                table = peer.predict(market.landing, market.judged, settings=settings, **more)
                [p] = in_order(given.name, table, rows).values()
                found = figures(p, rows, Cost(0.0, 0))
                losses.append(found.excess[MIXED])
                print(
                    f"{market.name}: {found.excess[MIXED] * 1e5:.1f} mixed, "
                    f"{found.excess[COLD] * 1e5:.1f} cold; {settings}", flush=True,
                )  # fmt: skip
            return losses

        best = dict(peer.CHOSEN)
        start = tried(best)
        least = float(len(start))
        for setting, values in peer.GRID.items():
            for value in values:
                if value == peer.CHOSEN[setting]:
                    continue
                losses = tried(best | {setting: value})
                total = sum(loss / first for loss, first in zip(losses, start, strict=True))
                if total < least:
                    least, best = total, best | {setting: value}
        print(f"best: {best}, {least / len(start):.4f} of the start's excess")


if __name__ == "__main__":
    main()

"""One peer on one market, in a process of its own: writes its predictions as Parquet."""

from __future__ import annotations

import argparse
import importlib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "position-rate": ("position_rate", {"by_listing": False}),
    "listing-rate": ("position_rate", {"by_listing": True}),
    "duckdb-vw": ("duckdb_vw", {}),
    "polars-lightgbm": ("polars_lightgbm", {}),
    "spark-logistic": ("spark_logistic", {}),
}
"""Module of each peer and what its ``predict`` is called with besides the logs and the days."""


def main() -> None:
    """Predict and write."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--landing", type=Path, required=True)
    parser.add_argument("--start", type=date.fromisoformat, required=True)
    parser.add_argument("--end", type=date.fromisoformat, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    judged = [
        given.start + timedelta(days=number) for number in range((given.end - given.start).days + 1)
    ]
    module, more = PEERS[given.name]
    peer = importlib.import_module(f"tests.benchmarks.peers.{module}")
    pq.write_table(peer.predict(given.landing, judged, **more), given.out)


if __name__ == "__main__":
    main()

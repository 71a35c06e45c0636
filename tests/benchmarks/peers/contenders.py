"""What is compared: the product and its peers, each run in processes of its own."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from tests.benchmarks.peers.markets import JudgedRows, Market
from tests.benchmarks.peers.measured import Cost, run_measured
from tests.benchmarks.peers.one_peer import PEERS

PRODUCT = "promoted-ctr"
PUBLISHED = "p_click"
CONTENDERS = (PRODUCT, *PEERS)
_STOPPED_BY_A_GATE = 10

Probabilities = dict[str, npt.NDArray[np.float64]]


def predicted(name: str, market: Market, rows: JudgedRows) -> tuple[Probabilities, Cost]:
    """Run a contender unless its predictions are there; give them for the judged rows.

    The product gives several, named as in `scored_traffic`: every probability it stores there.
    """
    out, cost = market.place / f"{name}.parquet", market.place / f"{name}.json"
    if not cost.exists():
        spent = _run_product(market, out) if name == PRODUCT else _run_peer(name, market, out)
        cost.write_text(json.dumps(asdict(spent)))
    return in_order(name, pq.read_table(out), rows), Cost(**json.loads(cost.read_text()))


def _run_peer(name: str, market: Market, out: Path) -> Cost:
    command = [
        "-m", "tests.benchmarks.peers.one_peer", name, "--landing", str(market.landing),
        "--start", str(market.judged[0]), "--end", str(market.judged[-1]), "--out", str(out),
    ]  # fmt: skip
    return _run(command, out.with_suffix(".log"), allowed=[0])


def _run_product(market: Market, out: Path) -> Cost:
    root = market.place / "warehouse"
    shutil.rmtree(root, ignore_errors=True)
    command = [
        "-m", "jobs", "backfill", "--start", str(market.judged[0]), "--end", str(market.judged[-1]),
        "--landing", str(market.landing), "--root", str(root), "--log-format", "text",
        "--set", f"storage.reports={market.place / 'reports'}",
    ]  # fmt: skip
    cost = _run(command, out.with_suffix(".log"), allowed=[0, _STOPPED_BY_A_GATE])
    scored = DeltaTable(root / "scored_traffic").to_pyarrow_table()
    scored = scored.filter(pc.is_in(scored["ds"], pa.array(market.judged, pa.date32())))
    kept = [column for column in scored.column_names if column.startswith("p_")]
    pq.write_table(scored.select(["impression_id", *kept]), out)
    shutil.rmtree(root)
    return cost


def _run(command: Sequence[str], log: Path, allowed: Sequence[int]) -> Cost:
    code, cost = run_measured([sys.executable, *command], log)
    if code not in allowed:
        sys.exit(f"{' '.join(command)} ended with {code}; what it said is in {log}")
    return cost


def in_order(name: str, table: pa.Table, rows: JudgedRows) -> Probabilities:
    """The predictions in the order of the judged rows, all of which must be there."""
    at = pc.index_in(pa.array(rows.impression_id, pa.string()), table["impression_id"])
    if at.null_count or len(table) != len(rows.truth):
        sys.exit(f"{name}: {len(table)} predictions, {at.null_count} judged rows have none")
    found: Probabilities = {}
    for column in table.column_names:
        if column.startswith("p"):
            p = table[column].combine_chunks().take(at).to_numpy()
            if not ((p > 0) & (p < 1)).all():
                sys.exit(f"{name}: {column} is not a probability everywhere")
            found[name if column == "p" else column] = p
    return found

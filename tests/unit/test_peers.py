"""The peers of `make bench-peers` know no more than the product: the logs of earlier days."""

from __future__ import annotations

import importlib
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.simulation.draw_market import market_config
from pipelines.simulation.marketplace import simulate
from tests.benchmarks.peers.one_peer import PEERS

FIRST = date(2026, 1, 1)
JUDGED = [FIRST + timedelta(days=number) for number in (10, 11)]
WITHOUT_JAVA = [name for name in PEERS if not name.startswith("spark")]


def part(landing: Path, log: str, day: date) -> Path:
    return next((landing / log / f"ds={day}").iterdir())


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("market")
    config = market_config(
        7, "small", start=FIRST, days=12, search_impressions_per_day=500,
        promoted_impressions_per_day=500, listings=120, users=200, queries=60, shops=12,
        promoted_click_rate=0.05, search_click_rate=0.1,
    )  # fmt: skip
    simulate(config, place / "landing", place / "truth")
    return place / "landing"


@pytest.fixture(scope="module")
def landing_without_clicks(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same logs without any click on an impression of the last judged day."""
    other = tmp_path_factory.mktemp("without") / "landing"
    shutil.copytree(landing, other)
    shown = pq.read_table(part(landing, "impressions", JUDGED[-1]), partitioning=None)
    for day in (JUDGED[-1], JUDGED[-1] + timedelta(days=1)):
        path = part(other, "clicks", day)
        clicks = pq.read_table(path, partitioning=None)
        is_own = pc.is_in(clicks["impression_id"], shown["impression_id"].combine_chunks())
        pq.write_table(clicks.filter(pc.invert(is_own)), path)
    return other


@pytest.mark.parametrize("name", WITHOUT_JAVA)
def test_no_click_of_a_day_enters_a_peers_predictions_for_it(
    name: str, landing: Path, landing_without_clicks: Path
) -> None:
    module, more = PEERS[name]
    peer = importlib.import_module(f"tests.benchmarks.peers.{module}")
    found, same = (
        peer.predict(logs, JUDGED, **more).sort_by("impression_id")
        for logs in (landing, landing_without_clicks)
    )
    assert len(found) == 1000
    assert found["impression_id"].equals(same["impression_id"])
    # DuckDB adds floats in the order in which its threads come.
    np.testing.assert_allclose(found["p"].to_numpy(), same["p"].to_numpy(), rtol=1e-9)

"""Drawn markets: every effect is planted with the deviation that the market says it has."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.draw_market import draw_market, market_config
from pipelines.simulation.market import Drawn, Market
from pipelines.simulation.marketplace import simulate

RANGES = {
    name: drawn
    for name, field in Market.model_fields.items()
    for drawn in field.metadata
    if isinstance(drawn, Drawn)
}


def tiny(seed: int = 1, **given: object) -> SimulationConfig:
    """A drawn market with a second's work a day."""
    small = {
        "days": 2,
        "search_impressions_per_day": 600,
        "promoted_impressions_per_day": 600,
        "listings": 300,
        "users": 400,
        "queries": 100,
        "shops": 30,
    }
    return market_config(seed, "small", **(small | given))


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_another_market(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        simulate(tiny(seed), tmp_path / name / "landing", tmp_path / name / "truth")
    one, again, other = (files(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert draw_market(1) != draw_market(2)
    assert all(one[name] != other[name] for name in one if "clicks" not in name)


def test_days_added_later_equal_days_made_at_once(tmp_path: Path) -> None:
    for days in (1, 3):
        simulate(tiny(days=days), tmp_path / "grown/landing", tmp_path / "grown/truth")
    simulate(tiny(days=3), tmp_path / "whole/landing", tmp_path / "whole/truth")
    assert files(tmp_path / "grown") == files(tmp_path / "whole")


@pytest.fixture(scope="module")
def markets() -> list[Market]:
    return [draw_market(seed) for seed in range(200)]


@pytest.mark.parametrize("name", RANGES)
def test_numbers_are_drawn_from_their_range_or_are_0(name: str, markets: list[Market]) -> None:
    drawn = RANGES[name]
    size = np.array([market.size if drawn.is_sized else 1.0 for market in markets])
    values = np.array([getattr(market, name) for market in markets]) / size
    assert np.mean(values == 0) == pytest.approx(drawn.zero, abs=0.12)
    kept = np.log(values[values > 0] / drawn.low) / np.log(drawn.high / drawn.low)
    assert np.all((kept > -0.001) & (kept < 1.001))
    assert kept.mean() == pytest.approx(0.5, abs=0.1)


def test_a_reference_world_says_nothing_of_markets(tmp_path: Path) -> None:
    config = SimulationConfig(
        days=1, search_impressions_per_day=50, promoted_impressions_per_day=50, listings=60
    )
    simulate(config, tmp_path / "landing", tmp_path / "truth")
    assert "market" not in json.loads((tmp_path / "truth/summary.json").read_text())["config"]
    assert sorted(path.name for path in (tmp_path / "truth").iterdir()) == [
        "ds=2026-01-01.parquet", "summary.json"
    ]  # fmt: skip


def test_what_is_planted_lies_beside_the_truth(tmp_path: Path) -> None:
    config = tiny()
    simulate(config, tmp_path / "landing", tmp_path / "truth")
    kept = json.loads((tmp_path / "truth/market.json").read_text())
    assert Market(**kept["market"]) == config.market
    listings = pq.read_table(tmp_path / "truth/listings.parquet").to_pydict()
    shown = pq.read_table(tmp_path / "landing/listings/ds=2026-01-02", partitioning=None)
    assert set(shown["listing_id"].to_pylist()) <= set(listings["listing_id"])
    assert config.market is not None
    assert np.std(listings["own"]) == pytest.approx(config.market.listing, rel=0.15)

"""What a simulated marketplace is made of, and what a simulation reports."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.simulation.market import Market

FORMAT_VERSION = 1
"""Raised whenever the same configuration would give other bytes."""

MARKET_VERSION = 1
"""The same for drawn markets."""

LandingFormat = Literal["parquet", "jsonl", "csv"]


class SimulationConfig(BaseModel):
    """The knobs of the planted world; everything else follows from the seed.

    ``start`` anchors the world: a day is a function of the seed and its distance from ``start``,
    so more days can be added later by asking for a larger ``days``.

    Examples
    --------
    >>> SimulationConfig(days=2).last_day
    datetime.date(2026, 1, 2)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=20170817, ge=0)
    start: date = date(2026, 1, 1)
    days: int = Field(default=37, ge=1, le=3650)
    search_impressions_per_day: int = Field(default=60_000, ge=1)
    promoted_impressions_per_day: int = Field(default=60_000, ge=1)
    listings: int = Field(default=6_000, ge=24, description="live listings on an average day")
    users: int = Field(default=10_000, ge=2)
    queries: int = Field(default=2_000, ge=2)
    shops: int = Field(default=600, ge=1)
    categories: int = Field(default=48, ge=1, description="leaves of the category tree")
    topics: int = Field(default=12, ge=1, description="latent topics behind words and queries")
    vocabulary: int = Field(default=800, ge=100)
    image_dimensions: int = Field(default=16, ge=0, description="0 leaves image_vector null")
    format: LandingFormat = "parquet"
    dirty_rows_per_kind: int = Field(default=0, ge=0, le=1_000)
    promoted_share: float = Field(default=0.6, gt=0, le=1)
    promoted_click_rate: float = Field(default=0.0097, gt=0, lt=0.5)
    cold_click_rate: float = Field(default=0.0064, gt=0, lt=0.5)
    search_click_rate: float = Field(default=0.025, gt=0, lt=0.5)
    cold_traffic_share: float = Field(default=0.045, gt=0, lt=0.5)
    bot_traffic_share: float = Field(default=0.0, ge=0, lt=0.5)
    market: Market | None = Field(
        default=None, description="effects of a drawn market instead of the reference market's"
    )

    @model_validator(mode="after")
    def _must_be_possible(self) -> Self:
        if self.cold_click_rate * self.cold_traffic_share > 0.9 * self.promoted_click_rate:
            raise ValueError("cold_click_rate: cold traffic alone would have all promoted clicks")
        if self.categories > self.vocabulary:
            raise ValueError("categories: each leaf takes a word of its own from the vocabulary")
        if self.topics * 5 > self.vocabulary * 0.8:
            raise ValueError("topics: each takes at least 5 words from the vocabulary")
        return self

    @property
    def last_day(self) -> date:
        """Last day that is simulated in full."""
        return self.start + timedelta(days=self.days - 1)

    def settings(self) -> dict[str, Any]:
        """All settings as JSON holds them; of the reference market, all but ``market``."""
        unset = {"market"} if self.market is None else set()
        return self.model_dump(mode="json", exclude=unset)

    def world_hash(self) -> str:
        """Hex digest of all that decides a day's bytes, so of everything but ``days``."""
        content = self.settings() | {"version": FORMAT_VERSION}
        if self.market is not None:
            content["market_version"] = MARKET_VERSION
        del content["days"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def config_hash(self) -> str:
        """Hex digest of the whole configuration."""
        content = f"{self.world_hash()}:{self.days}"
        return hashlib.sha256(content.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class SimulationSummary:
    """What was written, as also kept in ``summary.json`` beside the truth.

    Attributes
    ----------
    rates
        Mean true click probability: ``search``, ``promoted``, ``promoted_cold``,
        ``promoted_warm`` over the days, and the same for the last day (``last_day_*``), with the
        last day's ``last_day_cold_share`` of promoted traffic.
    dirty
        Planted bad rows: day -> log -> kind -> rows.
    days_written
        Days made by this call; 0 when all were there already.
    """

    config_hash: str
    world_hash: str
    first_day: date
    last_day: date
    impressions: int
    clicks: int
    cold_threshold: int
    rates: dict[str, float]
    dirty: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    days_written: int = 0

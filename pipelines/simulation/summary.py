"""What a simulation leaves in ``summary.json``: its configuration, its rates and its bad rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.simulation.clicks import Intercepts
from pipelines.simulation.config import SimulationConfig, SimulationSummary
from pipelines.simulation.days import SimulatedDay
from pipelines.simulation.landing import write_atomically

_GROUPS = ("search", "promoted", "promoted_cold", "promoted_warm")


class SummaryFile:
    """The days that are there, kept after each one, so that a simulation can be continued.

    Raises
    ------
    FileExistsError
        If the folder describes another world.
    """

    def __init__(self, config: SimulationConfig, truth: Path) -> None:
        self._config = config
        self._path = truth / "summary.json"
        self.days: dict[str, Any] = {}
        self._fixed: dict[str, Any] = {}
        if self._path.exists():
            content = json.loads(self._path.read_text())
            if content["world_hash"] != config.world_hash():
                raise FileExistsError(f"{truth} describes another world: give an empty folder")
            self.days = content["days"]
            self._fixed = {name: content[name] for name in ("cold_threshold", "intercepts")}

    def set_calibration(self, intercepts: Intercepts, cold_threshold: int) -> None:
        """Keep what calibration found."""
        self._fixed = {"cold_threshold": cold_threshold, "intercepts": asdict(intercepts)}

    def add(
        self,
        ds: str,
        made: SimulatedDay,
        is_cold: NDArray[np.bool_],
        clicks: int,
        dirty: dict[str, dict[str, int]],
    ) -> None:
        """Record a day and save."""
        is_promoted = np.arange(len(made.listing)) >= self._config.search_impressions_per_day
        masks = (~is_promoted, is_promoted, is_promoted & is_cold, is_promoted & ~is_cold)
        groups = dict(zip(_GROUPS, masks, strict=True))
        self.days[ds] = {
            "clicks": clicks,
            "impressions": {name: int(rows.sum()) for name, rows in groups.items()},
            "expected_clicks": {
                name: float(made.probability[rows].sum()) for name, rows in groups.items()
            },
            "dirty": dirty,
        }
        self.save()

    def save(self) -> None:
        """Write the file whole."""
        summary = self.summary(0)
        content = {
            "world_hash": summary.world_hash,
            "config_hash": summary.config_hash,
            "config": self._config.settings(),
            **self._fixed,
            "rates": summary.rates,
            "days": dict(sorted(self.days.items())),
        }

        def write(draft: Path) -> None:
            draft.write_text(json.dumps(content, indent=1) + "\n")

        write_atomically(self._path, write)

    def summary(self, days_written: int) -> SimulationSummary:
        """The days so far in one record."""
        last = self.days[max(self.days)]
        rates = {group: _rate(list(self.days.values()), group) for group in _GROUPS}
        rates |= {f"last_day_{group}": _rate([last], group) for group in _GROUPS}
        shown = last["impressions"]
        rates["last_day_cold_share"] = shown["promoted_cold"] / shown["promoted"]
        days = self.days.values()
        return SimulationSummary(
            config_hash=self._config.config_hash(),
            world_hash=self._config.world_hash(),
            first_day=self._config.start,
            last_day=date.fromisoformat(max(self.days)),
            impressions=sum(
                day["impressions"]["search"] + day["impressions"]["promoted"] for day in days
            ),
            clicks=sum(day["clicks"] for day in days),
            cold_threshold=self._fixed["cold_threshold"],
            rates=rates,
            dirty={ds: day["dirty"] for ds, day in sorted(self.days.items()) if day["dirty"]},
            days_written=days_written,
        )


def _rate(days: list[dict[str, Any]], group: str) -> float:
    """Mean true click probability of a group, 0 where it has no rows."""
    rows = sum(day["impressions"][group] for day in days)
    expected = sum(day["expected_clicks"][group] for day in days)
    return float(expected / rows) if rows else 0.0

"""Drawn markets, and the rows on which everything is judged, with their truth."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from pipelines.models.segments import cold_threshold
from pipelines.simulation.calibration import PROMOTED_WINDOW_DAYS, SEARCH_WINDOW_DAYS

JUDGED_DAYS = 7


@dataclass(frozen=True)
class Market:
    """A drawn market on disk: its name, the folder of its files, the days judged."""

    name: str
    place: Path
    judged: tuple[date, ...]

    @property
    def landing(self) -> Path:
        """Where the logs are."""
        return self.place / "landing"


@dataclass(frozen=True)
class JudgedRows:
    """The promoted impressions of the judged days, ordered by their id."""

    impression_id: npt.NDArray[np.object_]
    truth: npt.NDArray[np.float64]
    is_cold: npt.NDArray[np.bool_]


def simulated(seed: int, scale: str, place: Path) -> Market:
    """Simulate a drawn market unless it is there; the last seven days of its logs are judged."""
    landing, truth = place / "landing", place / "truth"
    done = subprocess.run(
        [
            sys.executable, "-m", "jobs", "simulate", "--market", str(seed), "--scale", scale,
            "--landing", str(landing), "--truth", str(truth),
        ],
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"promoted-ctr simulate --market {seed} ended with {done.returncode}")
    days = sorted(
        date.fromisoformat(folder.name.removeprefix("ds="))
        for folder in (landing / "impressions").iterdir()
    )
    return Market(f"{seed} {scale}", place, tuple(days[-JUDGED_DAYS:]))


def judged_rows(market: Market) -> JudgedRows:
    """All rows that are judged.

    A row is cold where its listing is among those with the fewest impressions in the windows
    before the day (search 14 days, promoted 30), which have 4.5 % of the day's promoted traffic.
    """
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"""
            WITH shown AS (
                SELECT impression_id, listing_id, surface, ds::DATE AS ds
                FROM read_parquet('{market.landing}/impressions/*/*.parquet')
            ), judged AS (
                SELECT * FROM shown WHERE surface = 'promoted' AND ds >= $first
            ), daily AS (
                SELECT listing_id, surface, ds AS past, count(*) AS n FROM shown GROUP BY ALL
            ), windows AS (
                SELECT listing_id, ds, sum(n) AS seen
                FROM (SELECT DISTINCT listing_id, ds FROM judged)
                JOIN daily USING (listing_id)
                WHERE past < ds AND past >= ds - CASE surface
                    WHEN 'search' THEN {SEARCH_WINDOW_DAYS} ELSE {PROMOTED_WINDOW_DAYS} END
                GROUP BY ALL
            ), truth AS (
                SELECT impression_id, probability
                FROM read_parquet('{market.place}/truth/ds=*.parquet', hive_partitioning = false)
            )
            SELECT impression_id, ds, probability AS truth, coalesce(seen, 0)::BIGINT AS seen
            FROM judged JOIN truth USING (impression_id)
            LEFT JOIN windows USING (listing_id, ds)
            ORDER BY impression_id
            """,
            {"first": market.judged[0]},
        ).fetchnumpy()
    is_cold = np.zeros(len(rows["seen"]), dtype=bool)
    for day in np.unique(rows["ds"]):
        of_day = rows["ds"] == day
        is_cold[of_day] = rows["seen"][of_day] < cold_threshold(rows["seen"][of_day])
    return JudgedRows(rows["impression_id"], rows["truth"], is_cold)

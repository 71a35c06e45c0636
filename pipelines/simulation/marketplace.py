"""Simulate a marketplace: canonical landing files and, apart from them, the planted truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.simulation.calibration import (
    PROMOTED_WINDOW_DAYS,
    REFERENCE_DAYS,
    SEARCH_WINDOW_DAYS,
    calibrate,
)
from pipelines.simulation.canonical import (
    TIMESTAMP,
    clicks_table,
    day_start_us,
    impressions_table,
    listings_table,
)
from pipelines.simulation.clicks import (
    Intercepts,
    base_logits,
    click_probability,
    draw_clicks,
)
from pipelines.simulation.config import SimulationConfig, SimulationSummary
from pipelines.simulation.landing import (
    day_folder,
    write_atomically,
    write_parquet,
    write_table,
)
from pipelines.simulation.randomness import Ints
from pipelines.simulation.traffic import SURFACES, simulate_traffic
from pipelines.simulation.world import World, make_world

# A day's clicks are exported two hours after its end, so that much of the next day is there.
EXPORT_LAG = timedelta(hours=2)
_PART = "part-00000"


@dataclass(frozen=True)
class SimulatedDay:
    """One day in memory: both surfaces' impressions in one table, clicks not yet split by day."""

    impressions: pa.Table
    clicks: pa.Table
    truth: pa.Table
    counts: Ints


def simulate(
    config: SimulationConfig,
    landing: Path,
    truth: Path,
    on_day: Callable[[date, int], None] | None = None,
) -> SimulationSummary:
    """Write the days of a simulated marketplace that are not there yet.

    A day's bytes depend on the world and the day only. After the last day a partial folder of
    clicks holds the first two hours of the next day; simulating more days completes it.

    Parameters
    ----------
    config
        The world and how many days of it.
    landing
        Root of the canonical landing layout.
    truth
        Folder of the planted truth, outside ``landing``: ``ds=YYYY-MM-DD.parquet`` with
        impression_id, surface, listing_id, probability, clicked, is_cold; and ``summary.json``.
    on_day
        Called with each day written and its number of impressions.

    Raises
    ------
    FileExistsError
        If ``truth`` describes another world: nothing is mixed or overwritten.
    """
    state = _load_state(config, truth)
    missing = [day for day in range(config.days) if not _is_done(config, state, landing, day)]
    if missing:
        world = make_world(config, max(config.days, *REFERENCE_DAYS))
        intercepts, threshold = calibrate(world, config)
        state |= {"cold_threshold": threshold, "intercepts": asdict(intercepts)}
        history = _History(world, config, truth)
        previous: tuple[int, SimulatedDay] | None = None
        for day in missing:
            made = make_day(world, config, intercepts, day)
            if day and (previous is None or previous[0] != day - 1):
                previous = (day - 1, make_day(world, config, intercepts, day - 1))
            clicks = _landing_clicks(config, day, made, previous[1] if previous else None)
            record = _write_day(
                world, config, day, made, clicks, landing, truth, history, threshold
            )
            state["days"][_ds(config, day)] = record
            _save_state(config, state, truth)
            previous = (day, made)
            if on_day is not None:
                on_day(config.start + timedelta(days=day), made.impressions.num_rows)
        if missing[-1] == config.days - 1 and previous is not None:
            _write_partial_day(config, previous[1], landing)
    _save_state(config, state, truth)
    return replace(_summary(config, state), days_written=len(missing))


def make_day(
    world: World, config: SimulationConfig, intercepts: Intercepts, day: int
) -> SimulatedDay:
    """One day of both surfaces with its true probabilities and all clicks it will ever get."""
    impressions, clicks, probabilities, is_clicked = [], [], [], []
    counts = np.zeros((2, len(world.catalogue.first_day)), np.int64)
    listings = []
    volumes = (config.search_impressions_per_day, config.promoted_impressions_per_day)
    for surface, volume in enumerate(volumes):
        traffic = simulate_traffic(world, config, day, surface, volume, "traffic")
        logit, newness = base_logits(world, config, traffic)
        probability = click_probability(logit, newness, intercepts, traffic, config.seed, "traffic")
        clicked, drawn = draw_clicks(probability, traffic, config.seed)
        impressions.append(impressions_table(world, config, traffic))
        clicks.append(clicks_table(config, traffic, drawn))
        probabilities.append(probability)
        is_clicked.append(clicked)
        listings.append(traffic.listing)
        counts[surface] = np.bincount(traffic.listing, minlength=counts.shape[1])
    table = pa.concat_tables(impressions)
    answer = table.select(["impression_id", "surface", "listing_id"])
    answer = answer.append_column("probability", pa.array(np.concatenate(probabilities)))
    answer = answer.append_column("clicked", pa.array(np.concatenate(is_clicked)))
    answer = answer.append_column("_listing", pa.array(np.concatenate(listings)))
    return SimulatedDay(table, pa.concat_tables(clicks), answer, counts)


class _History:
    """Window impressions of every listing, from the days before as they are in memory or on disk."""

    def __init__(self, world: World, config: SimulationConfig, truth: Path) -> None:
        self._listings = len(world.catalogue.first_day)
        self._config, self._truth = config, truth
        self._counts: dict[int, Ints] = {}

    def add(self, day: int, counts: Ints) -> None:
        self._counts[day] = counts
        self._counts.pop(day - PROMOTED_WINDOW_DAYS - 1, None)

    def before(self, day: int) -> Ints:
        """Search impressions of 14 days and promoted ones of 30 days that end the day before."""
        total = np.zeros(self._listings, np.int64)
        for surface, window in enumerate((SEARCH_WINDOW_DAYS, PROMOTED_WINDOW_DAYS)):
            for past in range(max(day - window, 0), day):
                if past not in self._counts:
                    self._counts[past] = self._read(past)
                total += self._counts[past][surface]
        return total

    def _read(self, day: int) -> Ints:
        path = self._truth / f"{_ds_name(self._config, day)}.parquet"
        rows = pq.read_table(path, columns=["surface", "listing_id"])
        number = pc.cast(pc.utf8_slice_codeunits(rows["listing_id"], len("listing-")), pa.int64())
        is_promoted = pc.equal(rows["surface"], SURFACES[1]).to_numpy()
        listing = number.to_numpy()
        return np.stack(
            [
                np.bincount(listing[is_promoted == surface], minlength=self._listings)
                for surface in (False, True)
            ]
        )


def _write_day(
    world: World,
    config: SimulationConfig,
    day: int,
    made: SimulatedDay,
    clicks: pa.Table,
    landing: Path,
    truth: Path,
    history: _History,
    threshold: int,
) -> dict[str, Any]:
    """Write one day and return its record for the summary."""
    ds = _ds(config, day)
    logs = {
        "impressions": made.impressions,
        "clicks": clicks,
        "listings": listings_table(world, config, day),
    }
    for log, table in logs.items():
        write_table(table, day_folder(landing, log, ds), config.format, _PART)
    listing = made.truth["_listing"].to_numpy()
    is_cold = history.before(day)[listing] < threshold
    history.add(day, made.counts)
    answer = made.truth.drop_columns(["_listing"]).append_column("is_cold", pa.array(is_cold))
    write_atomically(
        truth / f"{_ds_name(config, day)}.parquet", lambda draft: write_parquet(answer, draft)
    )
    probability = answer["probability"].to_numpy()
    promoted = np.arange(len(listing)) >= config.search_impressions_per_day
    groups = {
        "search": ~promoted,
        "promoted": promoted,
        "promoted_cold": promoted & is_cold,
        "promoted_warm": promoted & ~is_cold,
    }
    return {
        "clicks": clicks.num_rows,
        "impressions": {name: int(rows.sum()) for name, rows in groups.items()},
        "expected_clicks": {name: float(probability[rows].sum()) for name, rows in groups.items()},
        "dirty": {},
    }


def _landing_clicks(
    config: SimulationConfig, day: int, made: SimulatedDay, previous: SimulatedDay | None
) -> pa.Table:
    """Clicks whose own time lies in a day: the day's own and those carried over midnight."""
    start = day_start_us(config, day)
    own = _between(made.clicks, start, start + 86_400_000_000)
    carried = [] if previous is None else [_between(previous.clicks, start, start + 86_400_000_000)]
    return pa.concat_tables([*carried, own]).sort_by(
        [("ts", "ascending"), ("click_id", "ascending")]
    )


def _between(clicks: pa.Table, start_us: int, end_us: int) -> pa.Table:
    low, high = (pa.scalar(bound, TIMESTAMP) for bound in (start_us, end_us))
    inside = pc.and_(pc.greater_equal(clicks["ts"], low), pc.less(clicks["ts"], high))
    return clicks.filter(inside)


def _write_partial_day(config: SimulationConfig, last: SimulatedDay, landing: Path) -> None:
    """Write what an export two hours after the last day's end would hold of the next day."""
    start = day_start_us(config, config.days)
    lag_us = EXPORT_LAG // timedelta(microseconds=1)
    early = _between(last.clicks, start, start + lag_us)
    early = early.sort_by([("ts", "ascending"), ("click_id", "ascending")])
    write_table(
        early, day_folder(landing, "clicks", _ds(config, config.days)), config.format, _PART
    )


def _ds(config: SimulationConfig, day: int) -> str:
    return (config.start + timedelta(days=day)).isoformat()


def _ds_name(config: SimulationConfig, day: int) -> str:
    return f"ds={_ds(config, day)}"


def _load_state(config: SimulationConfig, truth: Path) -> dict[str, Any]:
    path = truth / "summary.json"
    if not path.exists():
        return {"days": {}}
    state: dict[str, Any] = json.loads(path.read_text())
    if state["world_hash"] != config.world_hash():
        raise FileExistsError(f"{truth} describes another world: give an empty folder")
    return state


def _is_done(config: SimulationConfig, state: dict[str, Any], landing: Path, day: int) -> bool:
    ds = _ds(config, day)
    return ds in state["days"] and all(
        (day_folder(landing, log, ds) / f"{_PART}.{config.format}").exists()
        for log in ("impressions", "clicks", "listings")
    )


def _save_state(config: SimulationConfig, state: dict[str, Any], truth: Path) -> None:
    content = {
        "world_hash": config.world_hash(),
        "config_hash": config.config_hash(),
        "config": config.model_dump(mode="json"),
        "cold_threshold": state["cold_threshold"],
        "intercepts": state["intercepts"],
        "rates": _summary(config, state).rates,
        "days": state["days"],
    }
    text = json.dumps(content, indent=1)
    write_atomically(truth / "summary.json", lambda draft: draft.write_text(text) and None)


def _summary(config: SimulationConfig, state: dict[str, Any]) -> SimulationSummary:
    days = state["days"]
    rates = {}
    for prefix, chosen in (("", list(days)), ("last_day_", [max(days)])):
        for group in ("search", "promoted", "promoted_cold", "promoted_warm"):
            rows = sum(days[ds]["impressions"][group] for ds in chosen)
            expected = sum(days[ds]["expected_clicks"][group] for ds in chosen)
            rates[prefix + group] = expected / rows if rows else 0.0
    last = days[max(days)]["impressions"]
    rates["last_day_cold_share"] = last["promoted_cold"] / last["promoted"]
    return SimulationSummary(
        config_hash=config.config_hash(),
        world_hash=config.world_hash(),
        first_day=config.start,
        last_day=date.fromisoformat(max(days)),
        impressions=sum(
            day["impressions"]["search"] + day["impressions"]["promoted"] for day in days.values()
        ),
        clicks=sum(day["clicks"] for day in days.values()),
        cold_threshold=state["cold_threshold"],
        rates=rates,
        dirty={ds: day["dirty"] for ds, day in days.items() if day["dirty"]},
    )

"""Simulate a marketplace: canonical landing files and, apart from them, the planted truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from pipelines.simulation.calibration import REFERENCE_DAYS, calibrate
from pipelines.simulation.canonical import listings_table
from pipelines.simulation.config import SimulationConfig, SimulationSummary
from pipelines.simulation.days import SimulatedDay, clicks_landing, make_day, truth_table
from pipelines.simulation.dirty import write_dirty_rows
from pipelines.simulation.landing import day_folder, write_atomically, write_parquet, write_table
from pipelines.simulation.market_truth import write_market_truth
from pipelines.simulation.summary import SummaryFile
from pipelines.simulation.window_counts import WindowCounts
from pipelines.simulation.world import make_world

# A day's clicks are exported two hours after its end, so that much of the next day is there.
_EXPORT_LAG_US = 2 * 3_600_000_000
_PART = "part-00000"


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
        Of a drawn market also what :func:`write_market_truth` writes.
    on_day
        Called with each day written and its number of impressions.

    Returns
    -------
    SimulationSummary
        All days that are there, also those of earlier calls.

    Raises
    ------
    FileExistsError
        If ``truth`` describes another world: nothing is mixed or overwritten.
    """
    summary = SummaryFile(config, truth)
    missing = [day for day in range(config.days) if not _is_done(config, summary, landing, day)]
    if not missing:
        return summary.summary(days_written=0)
    world = make_world(config, max(config.days, *REFERENCE_DAYS))
    intercepts, cold_threshold = calibrate(world, config)
    summary.set_calibration(intercepts, cold_threshold)
    window = WindowCounts(
        len(world.catalogue.first_day), lambda day: _truth_path(config, truth, day)
    )
    before: SimulatedDay | None = None
    for day in missing:
        if day and (before is None or before.day != day - 1):
            before = make_day(world, config, intercepts, day - 1)
        made = make_day(world, config, intercepts, day)
        ds = _ds(config, day)
        logs = {
            "impressions": made.impressions,
            "clicks": clicks_landing(config, day, [made] if before is None else [before, made]),
            "listings": listings_table(world, config, day),
        }
        dirty = {}
        for log, table in logs.items():
            folder = day_folder(landing, log, ds)
            if config.dirty_rows_per_kind:
                dirty[log] = write_dirty_rows(config, day, log, logs, folder)
            write_table(table, folder, config.format, _PART)
        is_cold = window.before(day)[made.listing] < cold_threshold
        window.add(day, made.counts)
        answer = truth_table(made, is_cold)
        write_atomically(_truth_path(config, truth, day), partial(write_parquet, answer))
        if day == config.days - 1 and _ds(config, day + 1) not in summary.days:
            early = clicks_landing(config, day + 1, [made], _EXPORT_LAG_US)
            folder = day_folder(landing, "clicks", _ds(config, day + 1))
            write_table(early, folder, config.format, _PART)
        summary.add(ds, made, is_cold, logs["clicks"].num_rows, dirty)
        before = made
        if on_day is not None:
            on_day(config.start + timedelta(days=day), made.impressions.num_rows)
    write_market_truth(world, config, truth)
    return summary.summary(days_written=len(missing))


def _ds(config: SimulationConfig, day: int) -> str:
    return (config.start + timedelta(days=day)).isoformat()


def _truth_path(config: SimulationConfig, truth: Path, day: int) -> Path:
    return truth / f"ds={_ds(config, day)}.parquet"


def _is_done(config: SimulationConfig, summary: SummaryFile, landing: Path, day: int) -> bool:
    """Whether a day is recorded and its landing files are still there."""
    ds = _ds(config, day)
    return ds in summary.days and all(
        (day_folder(landing, log, ds) / f"{_PART}.{config.format}").exists()
        for log in ("impressions", "clicks", "listings")
    )

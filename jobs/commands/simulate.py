"""`simulate`: write the landing files of a marketplace whose true click probabilities are known."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from jobs.commands.arguments import iso_date
from jobs.reporting.market import market_table
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.draw_market import Scale, market_config
from pipelines.simulation.marketplace import simulate

EXAMPLES = """examples:
  promoted-ctr simulate                                  the default marketplace, 37 days
  promoted-ctr simulate --days 38                        one more day of it
  promoted-ctr simulate --seed 7 --landing /tmp/seven    another one, elsewhere
  promoted-ctr simulate --market 3 --scale small --landing /tmp/three/landing
                                                         a market with effects of its own
  promoted-ctr simulate --dirty 5 --format jsonl         with 5 rows of every kind of dirt a day

The same arguments give the same bytes. The truth (data/truth unless --truth says otherwise) lies
apart from what the chain reads."""

_SIZES = ("listings", "users", "queries", "shops")


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    parser.add_argument("--truth", metavar="DIR", help="where the planted truth goes")
    parser.add_argument(
        "--market", type=int, metavar="SEED", help="a market with effects drawn from this seed"
    )
    parser.add_argument(
        "--scale", choices=get_args(Scale),
        help="impressions of a drawn market in 37 days: .3, 1.5 (the default) or 4.4 million",
    )  # fmt: skip
    parser.add_argument("--days", type=int)
    parser.add_argument("--start", type=iso_date, metavar="D")
    parser.add_argument("--seed", type=int)
    for surface in ("search", "promoted"):
        name = f"{surface}_impressions_per_day"
        parser.add_argument(f"--{surface}-per-day", dest=name, type=int, metavar="N")
    for name in _SIZES:
        parser.add_argument(f"--{name}", type=int, metavar="N")
    parser.add_argument("--format", choices=("parquet", "jsonl", "csv"))
    parser.add_argument(
        "--dirty", dest="dirty_rows_per_kind", type=int, metavar="N",
        help="rows of every kind of dirt a day",
    )  # fmt: skip


def _asked(arguments: argparse.Namespace) -> SimulationConfig:
    """The world that was asked for: what is not given is the default, or drawn.

    Raises
    ------
    UsageError
        If a value is impossible, or one flag goes against another.
    """
    names = (
        "days", "start", "seed", "format", "dirty_rows_per_kind", *_SIZES,
        "search_impressions_per_day", "promoted_impressions_per_day",
    )  # fmt: skip
    chosen = {name: getattr(arguments, name) for name in names}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    try:
        if arguments.market is None:
            if arguments.scale is not None:
                raise UsageError("--scale is for a drawn market: give --market too")
            return SimulationConfig(**chosen)
        if arguments.seed is not None:
            raise UsageError("--market is the seed of a drawn market: leave --seed away")
        if arguments.market < 0:
            raise UsageError("--market: a seed is 0 or more")
        return market_config(arguments.market, arguments.scale or "medium", **chosen)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise UsageError(f"{first['loc'][0]}: {first['msg']}") from None


def run(arguments: argparse.Namespace, config: Config, console: Console) -> int:
    """Simulate what is not there yet."""
    world = _asked(arguments)
    landing = Path(config.storage.landing)
    truth = Path(arguments.truth) if arguments.truth else landing.parent / "truth"
    try:
        with Progress(console=console, transient=True) as bar:
            task = bar.add_task("simulating", total=world.days)

            def on_day(day: date, rows: int) -> None:
                bar.advance(task)

            summary = simulate(world, landing, truth, on_day)
    except FileExistsError as problem:
        raise UsageError(
            f"{problem}; choose another --landing and --truth, or remove them"
        ) from None
    except OSError as problem:
        raise UsageError(f"cannot write to {problem.filename}: {problem.strerror}") from None
    if world.market is not None:
        console.print(market_table(world, world.market))
    rates = summary.rates
    console.print(
        f"{summary.days_written} of {world.days} days written to {landing} "
        f"({world.start} .. {world.last_day}); true click rate: promoted "
        f"{rates['promoted']:.2%}, search {rates['search']:.2%}; truth in {truth}"
    )
    return ExitCode.DONE

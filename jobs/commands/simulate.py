"""`simulate`: write the landing files of a marketplace whose true click probabilities are known."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from jobs.commands.arguments import iso_date
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from pipelines.simulation.config import SimulationConfig
from pipelines.simulation.marketplace import simulate

EXAMPLES = """examples:
  promoted-ctr simulate                                  the default marketplace, 37 days
  promoted-ctr simulate --days 38                        one more day of it
  promoted-ctr simulate --seed 7 --landing /tmp/seven    another one, elsewhere
  promoted-ctr simulate --dirty 5 --format jsonl         with 5 rows of every kind of dirt a day

The same arguments give the same bytes. The truth (data/truth unless --truth says otherwise) lies
apart from what the chain reads."""

_SIZES = ("listings", "users", "queries", "shops")


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    defaults = SimulationConfig.model_fields
    parser.epilog = EXAMPLES
    parser.add_argument("--truth", metavar="DIR", help="where the planted truth goes")
    parser.add_argument("--days", type=int, default=defaults["days"].default)
    parser.add_argument("--start", type=iso_date, default=defaults["start"].default, metavar="D")
    parser.add_argument("--seed", type=int, default=defaults["seed"].default)
    for surface in ("search", "promoted"):
        name = f"{surface}_impressions_per_day"
        parser.add_argument(
            f"--{surface}-per-day", dest=name, type=int, default=defaults[name].default, metavar="N"
        )
    for name in _SIZES:
        parser.add_argument(f"--{name}", type=int, default=defaults[name].default, metavar="N")
    parser.add_argument("--format", choices=("parquet", "jsonl", "csv"), default="parquet")
    parser.add_argument(
        "--dirty", dest="dirty_rows_per_kind", type=int, default=0, metavar="N",
        help="rows of every kind of dirt a day",
    )  # fmt: skip


def run(arguments: argparse.Namespace, config: Config, console: Console) -> int:
    """Simulate what is not there yet."""
    names = (
        "days", "start", "seed", "format", "dirty_rows_per_kind", *_SIZES,
        "search_impressions_per_day", "promoted_impressions_per_day",
    )  # fmt: skip
    try:
        world = SimulationConfig(**{name: getattr(arguments, name) for name in names})
    except ValidationError as problem:
        first = problem.errors()[0]
        raise UsageError(f"{first['loc'][0]}: {first['msg']}") from None
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
    rates = summary.rates
    console.print(
        f"{summary.days_written} of {world.days} days written to {landing} "
        f"({world.start} .. {world.last_day}); true click rate: promoted "
        f"{rates['promoted']:.2%}, search {rates['search']:.2%}; truth in {truth}"
    )
    return ExitCode.DONE

"""The product against what an engineer would write in its place, on markets drawn from seeds.

``make bench-peers``, or ``python -m tests.benchmarks.peers --markets 1,2,3 --scale small``. Each
contender gets the same logs, predicts each of the last seven days from the logs of earlier days,
and is judged by the planted click probabilities: excess log loss (the mean of KL(truth || p), in
1e-5 nats) over all promoted impressions, the cold and the warm ones; promised over true clicks.
The product has a row for each probability that it stores in `scored_traffic`; it publishes p_click.
CPU seconds, user and system, and peak memory are those of all processes of a contender, from
landing files to predictions.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import get_args

from rich import box
from rich.console import Console
from rich.table import Table

from pipelines.simulation.draw_market import Scale
from tests.benchmarks.peers.comparison import (
    HEADER,
    SUMMARY_HEADER,
    Figures,
    figures,
    market_rows,
    summary_rows,
)
from tests.benchmarks.peers.contenders import CONTENDERS, predicted
from tests.benchmarks.peers.markets import judged_rows, simulated


def main() -> None:
    """Run every contender on every market, print the tables."""
    given = _arguments()
    console = Console(stderr=True)
    found: dict[str, dict[str, Figures]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for seed in given.markets:
            place = Path(given.keep or temporary).absolute() / f"{seed}-{given.scale}"
            with console.status(f"market {seed}: simulating"):
                market = simulated(seed, given.scale, place)
                rows = judged_rows(market)
            by_model: dict[str, Figures] = {}
            for name in given.only:
                with console.status(f"market {seed}: {name}"):
                    probabilities, cost = predicted(name, market, rows)
                by_model |= {model: figures(p, rows, cost) for model, p in probabilities.items()}
            found[market.name] = by_model
            title = (
                f"market {market.name}: {len(rows.truth):,} impressions, "
                f"{rows.truth.sum():.0f} clicks expected, {rows.is_cold.sum():,} cold"
            )
            _print(title, HEADER, market_rows(by_model), markdown=given.markdown)
    if len(found) > 1:
        title = f"{len(found)} markets"
        _print(title, SUMMARY_HEADER, summary_rows(list(found.values())), markdown=given.markdown)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--markets", default="1,2,3", metavar="SEEDS",
        type=lambda text: [int(seed) for seed in text.split(",")],
    )  # fmt: skip
    parser.add_argument("--scale", choices=get_args(Scale), default="small")
    parser.add_argument(
        "--only", default=list(CONTENDERS), metavar="NAMES", type=_names,
        help=f"some of: {', '.join(CONTENDERS)}",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, help="work here, keep it, go on from what is there")
    parser.add_argument("--markdown", action="store_true", help="tables for a document")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = set(names) - set(CONTENDERS)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _print(
    title: str, header: tuple[str, ...], rows: list[tuple[str, ...]], *, markdown: bool
) -> None:
    if markdown:
        lines = [header, ("---", *["---:"] * (len(header) - 1)), *rows]
        print(f"\n{title}\n")
        print("\n".join(f"| {' | '.join(cells)} |" for cells in lines))
        return
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left")
    for cells in rows:
        table.add_row(*cells)
    Console().print(table)


if __name__ == "__main__":
    main()

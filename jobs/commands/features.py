"""`promoted-ctr features`: the joint model's namespaces and what each is worth."""

from __future__ import annotations

import argparse
import csv
import json
import sys

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jobs.commands.arguments import iso_date
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode
from jobs.storage.reading import Row
from jobs.storage.tables import Tables
from pipelines.quality.wording import number

EXAMPLES = """examples:
  promoted-ctr features                        of the newest day, what explains most first
  promoted-ctr features --date 2026-02-06
  promoted-ctr features --format csv > features.csv
  promoted-ctr features --format json | jq '.namespaces[] | select(.share < 0.001) | .namespace'

coverage   share of the day's rows with a value; of contents, of the day's entities
values     distinct values on that day
prior      standard deviation of the weights in logits, as registered and as learnt
share      of the variance of the logit over the day's rows; contents are a part of their entity's
cost       share of all weights"""


_WIDE = 110
_FIGURE = 6


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.description = (
        "Show the namespaces of the joint model as learnt to the end of a day, and what each of "
        "them is worth."
    )
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--date", type=iso_date, metavar="D", help="day; default: the newest")
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Print the registry of a day.

    Raises
    ------
    InputMissing
        The joint model of that day is not stored.
    """
    # Reading the model needs its kernels, half a second that --help does without.
    from jobs.reporting.namespaces import read_registry

    found = read_registry(tables, config, arguments.date)
    if arguments.format == "json":
        whole = {
            "ds": str(found.ds),
            "scale": found.scale,
            "coordinates": found.coordinates,
            "coordinates_with_the_id_of_another": found.shared,
            "namespaces": found.rows,
            "left_out": found.left_out,
        }
        sys.stdout.write(json.dumps(whole, indent=1) + "\n")
        return ExitCode.DONE
    if arguments.format == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=list(found.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"inputs": " ".join(row["inputs"])} for row in found.rows)
        return ExitCode.DONE
    for level, title in (("row", "namespaces of rows"), ("content", "what entities are made of")):
        own = [row for row in found.rows if row["level"] == level]
        console.print(_table(f"{title}, {found.ds}", own, console.width))
    collisions = sum(row["collisions"] or 0 for row in found.rows) + found.shared
    notes = [
        f"collisions: {number(collisions)}, counted over the day's values and all "
        f"{number(found.coordinates)} weights of rows; ids have 64 bits, so two of n values share "
        "one in n² / 2⁶⁵ of cases",
        f"scale of the priors: {found.scale:g} times the registered variances",
    ]
    notes += [f"{row['namespace']}: left out, {row['reason']}" for row in found.left_out]
    for note in notes:
        console.print(note, style="dim", highlight=False, markup=False)
    return ExitCode.DONE


def _table(title: str, rows: list[Row], width: int) -> Table:
    """What explains most first; a narrow terminal has the figures only."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
                  show_edge=False)  # fmt: skip
    texts = ("scope", "kind", "inputs") if width >= _WIDE else ()
    table.add_column("namespace", no_wrap=True, overflow="ellipsis")
    for name in texts:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("coverage", "values", "prior", "learnt", "share", "cost"):
        table.add_column(name, justify="right", no_wrap=True, min_width=_FIGURE)
    for row in sorted(rows, key=lambda row: (-row["share"], row["namespace"])):
        plain = row | {"inputs": " ".join(row["inputs"])}
        table.add_row(
            escape(row["namespace"]), *(escape(plain[name]) for name in texts),
            f"{row['coverage']:.1%}", number(row["values"]), f"{row['registered']:.2f}",
            f"{row['learnt']:.3f}", f"{round(row['share'], 3) + 0.0:.1%}", f"{row['cost']:.1%}",
        )  # fmt: skip
    return table

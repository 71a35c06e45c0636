"""`promoted-ctr scores`: the top listings of a day, or why one listing has its number."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from typing import Any

import pyarrow.compute as pc
from rich.console import Console

from jobs.commands.arguments import iso_date
from jobs.reporting.summary import listing_table
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.published import ScoresOf, read_scores
from jobs.storage.reading import read_rows
from jobs.storage.tables import Tables
from pipelines.quality.wording import number, probability

EXAMPLES = """examples:
  promoted-ctr scores                          the best listings of the newest published day
  promoted-ctr scores --segment cold --limit 5
  promoted-ctr scores --listing l-1204         why this number: features, weights, every step
  promoted-ctr scores --date 2025-03-14 --format csv --limit 0 > scores.csv
  promoted-ctr scores --staged                 what was scored last, published or not"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.description = (
        "Show the listings with the highest click probability, or take one listing's score apart."
    )
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--listing", metavar="ID", help="one listing: why this number")
    parser.add_argument("--date", type=iso_date, metavar="D", help="day; default: the newest")
    parser.add_argument("--segment", choices=("cold", "warm"), help="only cold or warm listings")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N",
        help="listings, or features per model; 0 for all; default 20",
    )  # fmt: skip
    parser.add_argument("--format", choices=("table", "json", "csv"), default="table")
    parser.add_argument("--staged", action="store_true", help="scores that are not published, too")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Print scores.

    Raises
    ------
    InputMissing
        There are no such scores; the message says what there is.
    """
    if arguments.limit < 0:
        raise UsageError("--limit is a number of listings, 0 for all")
    scores = read_scores(tables, ds=arguments.date, staged=arguments.staged)
    tables = scores.made_from(tables)
    if arguments.listing is not None:
        if arguments.format == "csv":
            raise UsageError("one listing has no CSV form: use --format json or table")
        # Explaining needs the models' kernels, half a second that the list does without.
        from jobs.reporting.explanation import listing_json, print_listing
        from jobs.reporting.listing import read_listing_score

        score = read_listing_score(tables, config, scores, arguments.listing)
        if arguments.format == "json":
            sys.stdout.write(json.dumps(listing_json(score), indent=1, default=str) + "\n")
        else:
            print_listing(console, score, limit=arguments.limit)
        return ExitCode.DONE
    rows = top_rows(tables, scores, arguments.segment, arguments.limit)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(rows, indent=1, default=str) + "\n")
    elif arguments.format == "csv":
        names = ["title", *scores.table.column_names]
        writer = csv.DictWriter(sys.stdout, fieldnames=names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_top(console, scores, rows)
    return ExitCode.DONE


def top_rows(
    tables: Tables, scores: ScoresOf, segment: str | None, limit: int
) -> list[dict[str, Any]]:
    """List the highest p_click first, ties by listing id, each with its title; all for limit 0."""
    table = scores.table
    if segment:
        table = table.filter(pc.equal(table["segment"], segment))
    order = [("p_click", "descending"), ("listing_id", "ascending")]
    if limit and limit < table.num_rows:
        table = table.take(pc.select_k_unstable(table, limit, order))
    table = table.sort_by(order)
    condition = pc.field("listing_id").isin(table["listing_id"].combine_chunks())
    columns = ["listing_id", "title"]
    named = read_rows(tables, "listings", [scores.ds], condition=condition, columns=columns)
    titles = {row["listing_id"]: row["title"] for row in named}
    return [{"title": titles.get(row["listing_id"], ""), **row} for row in table.to_pylist()]


def _print_top(console: Console, scores: ScoresOf, rows: list[dict[str, Any]]) -> None:
    state = "published" if scores.is_published else "staged"
    title = (
        f"{state} scores of {scores.ds}: {number(len(rows))} of "
        f"{number(scores.table.num_rows)} listings"
    )
    names = ("listing", "title", "p_click", "±", "historical", "content", "shown", "segment")
    cells = [
        (row["listing_id"], row["title"], probability(row["p_click"]),
         number(row["standard_error"], 2), probability(row["p_historical"]),
         probability(row["p_content"]), number(row["window_impressions"]), row["segment"])
        for row in rows
    ]  # fmt: skip
    console.print(listing_table(title, names, cells, console.width))
    console.print(
        "± one standard error of the logit; historical, content: each model alone; "
        "why a number: --listing ID",
        style="dim",
    )

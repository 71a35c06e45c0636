"""`promoted-ctr report`: write the report of a day again, from the tables as they stand."""

from __future__ import annotations

import argparse

from rich.console import Console

from jobs.commands.arguments import iso_date
from jobs.commands.run import tell
from jobs.reporting.expectations import confirm_news
from jobs.reporting.report_folder import reports_at_hand
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, InputMissing
from jobs.storage.reading import PUBLISH_JOB, read_runs
from jobs.storage.tables import Tables

EXAMPLES = """examples:
  promoted-ctr report                       the newest day that was run
  promoted-ctr report --date 2025-03-14     one day
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.description = "Write the HTML and JSON report of a day, and print its summary."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--date", type=iso_date, metavar="D", help="the day; default: the newest that was judged"
    )


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Write the report.

    Raises
    ------
    InputMissing
        Nothing was run, or not for this day.
    """
    runs = read_runs(tables)
    made = {row["ds"] for row in runs}
    # A day's labels need clicks of the day after, so the newest day may hold no more than those.
    judged = {row["ds"] for row in runs if row["job"] == PUBLISH_JOB}
    if not made:
        raise InputMissing(f"nothing was run yet in {tables.root}: start with `promoted-ctr run`")
    newest = max(judged or made)
    ds = arguments.date or newest
    if ds not in made:
        raise InputMissing(f"nothing was run for {ds}; the newest day is {newest}")
    last = max((row for row in runs if row["ds"] == ds), key=lambda row: row["ended"])
    with reports_at_hand(config) as local:
        confirm_news(tables, local, last["run_id"], ds)
        tell(local, tables, ds, console, config.storage.reports)
    return ExitCode.DONE

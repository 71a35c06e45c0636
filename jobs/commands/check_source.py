"""`check-source`: say per log and column what is wrong with a source, without running the chain.

Reads one day of landing files (the last that has impressions) and writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import date

from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from jobs.landing.feature_inputs import OwnInput, own_inputs
from jobs.landing.source_findings import check_source
from jobs.landing.sources import Source
from jobs.landing.typed_days import typed_days
from jobs.planning.joint_inputs import check_registries
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode
from jobs.setup.project import source_names
from jobs.setup.session import start_session
from jobs.storage.tables import Tables
from pipelines.logs.labels import LabelRules

Say = Callable[[str], None]
_STYLES = {"wrong": "bold red", "look": "yellow", "good": "green"}
EXAMPLES = """examples:
  promoted-ctr check-source canonical --landing data/landing
  promoted-ctr check-source path/to/my_source --landing /data/raw --date 2026-02-06

exit code 10 when something is wrong, 0 otherwise"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    known = ", ".join(source_names())
    # The same as --source, so that the settings that the source brings are read.
    parser.add_argument(
        "source", nargs="?", default=argparse.SUPPRESS, metavar="name",
        help=f"one of {known}; or a directory",
    )  # fmt: skip
    parser.add_argument("--date", type=date.fromisoformat, metavar="D", help="the day to look at")


def run(arguments: argparse.Namespace, config: Config, console: Console) -> int:
    """Check the source that the arguments name."""
    source = Source.of(config)
    check_registries(config)
    return run_check(
        source,
        lambda: start_session(config, "check-source", reads_tables=False, is_short=True),
        console,
        day=arguments.date,
        max_string_bytes=config.ingest.max_string_bytes,
        labels=config.labels,
        inputs=own_inputs(config),
    )


LOOKED_AT_FIRST = 2**26
"""Bytes of a log's day above which it is not looked at unasked."""


def tell_first_use(source: Source, tables: Tables, config: Config, say: Say) -> None:
    """Say what is wrong with a source before the first day is made by it.

    Nothing stops here: what the rows are worth, the checks of the tables decide. A day that has
    landed as Parquet in the canonical types has nothing of this kind to tell. A large day is not
    looked at: to read it twice takes long.
    """
    day = source.last_complete_day()
    limit = config.ingest.max_typed_day_bytes
    if day is None or all(typed_days(source, log, [day], max_bytes=limit) for log in source.logs):
        return
    if any(_bytes_of(source, log, day) > LOOKED_AT_FIRST for log in source.logs):
        say(
            f"source {source.name}: {day} is too large to be looked at first; promoted-ctr "
            "check-source looks at a day"
        )
        return
    findings = check_source(
        source,
        lambda: tables.spark,
        max_string_bytes=config.ingest.max_string_bytes,
        labels=config.labels,
        inputs=own_inputs(config),
    )
    for finding in findings:
        if finding.level == "wrong":
            column = f".{finding.column}" if finding.column else ""
            say(f"source {source.name}: {finding.log}{column}: {finding.text}")


def _bytes_of(source: Source, log: str, day: date) -> int:
    views = source.spec.logs[log].views
    return sum(file.size for view in views for file in source.day_files(view, [day]))


def run_check(
    source: Source,
    session: Callable[[], SparkSession],
    console: Console,
    *,
    day: date | None = None,
    max_string_bytes: int = 4096,
    labels: LabelRules | None = None,
    inputs: Sequence[OwnInput] = (),
) -> int:
    """Print the findings as a table; 10 if something is wrong, else 0."""
    findings = check_source(
        source, session, day, max_string_bytes=max_string_bytes, labels=labels, inputs=inputs
    )
    table = Table(title=f"{source.name}: {source.spec.what}", title_justify="left")
    for heading in ("log", "column", "", "finding"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(
            finding.log,
            finding.column,
            f"[{_STYLES[finding.level]}]{finding.level}[/]",
            finding.text,
        )
    console.print(table)
    is_wrong = any(finding.level == "wrong" for finding in findings)
    return int(ExitCode.QUALITY if is_wrong else ExitCode.DONE)

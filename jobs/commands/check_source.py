"""`check-source`: say per log and column what is wrong with a source, without running the chain.

Reads one day of landing files (the last that has impressions) and writes nothing.
"""

from __future__ import annotations

import argparse
from datetime import date

from pyspark.sql import SparkSession
from rich.console import Console
from rich.table import Table

from jobs.landing.source_findings import check_source
from jobs.landing.sources import Source, source_names
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode
from jobs.setup.session import start_session
from pipelines.logs.labels import LabelRules

_STYLES = {"wrong": "bold red", "look": "yellow", "good": "green"}
EXAMPLES = """examples:
  promoted-ctr check-source canonical --landing data/landing
  promoted-ctr check-source path/to/my_source --landing /data/raw --date 2026-02-06

exit code 10 when something is wrong, 0 otherwise"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    known = ", ".join(source_names())
    parser.add_argument("name", nargs="?", help=f"one of {known}; or a directory")
    parser.add_argument("--date", type=date.fromisoformat, metavar="D", help="the day to look at")


def run(arguments: argparse.Namespace, config: Config, console: Console) -> int:
    """Check the source that the arguments name."""
    source = Source.load(arguments.name or config.source.name, config.storage.landing)
    spark = start_session(config, "check-source")
    limit, labels = config.ingest.max_string_bytes, config.labels
    return run_check(
        source, spark, console, day=arguments.date, max_string_bytes=limit, labels=labels
    )


def run_check(
    source: Source,
    spark: SparkSession,
    console: Console,
    *,
    day: date | None = None,
    max_string_bytes: int = 4096,
    labels: LabelRules | None = None,
) -> int:
    """Print the findings as a table; 10 if something is wrong, else 0."""
    days = None if day is None else [day]
    findings = check_source(source, spark, days, max_string_bytes=max_string_bytes, labels=labels)
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

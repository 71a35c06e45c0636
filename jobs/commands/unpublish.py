"""`promoted-ctr unpublish`: decide that a day's scores are read by nobody."""

from __future__ import annotations

import argparse

from rich.console import Console

from jobs.commands.arguments import user
from jobs.commands.publish import add_decision, check_reason, settle
from jobs.planning.publications import Decision
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.published import SCORES
from jobs.storage.reading import OF_PUBLICATIONS, publications, read_runs
from jobs.storage.tables import Tables
from pipelines.quality.alert_text import plain

EXAMPLES = """examples:
  promoted-ctr unpublish --date 2026-02-06 --reason "prices in cents"
  promoted-ctr publish --date 2026-02-06 --reason "prices are right, they were announced"
                                                        take it back

Consumers go back to the newest day that is still published. Nothing is removed. The day stays
unpublished until it is published by hand: later runs make and judge it, and leave it so."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    add_decision(parser)


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Decide."""
    from jobs.commands.run import start_runner

    day = arguments.date
    if day is None:
        raise UsageError("say which day: --date D; promoted-ctr publish lists what is published")
    check_reason(arguments)
    with start_runner(config, console, arguments) as runner, runner.lock:
        published = publications(read_runs(runner.tables, OF_PUBLICATIONS)).get(day)
        if published is None:
            console.print(f"nothing to do: {day} is not published")
            return ExitCode.DONE
        version = published["versions_in"].get(SCORES, runner.tables.version(SCORES))
        decision = Decision(False, version, True, user(), plain(arguments.reason))
        return settle(runner, day, decision, published["rows_out"] or 0, console)

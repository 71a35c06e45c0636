"""`promoted-ctr leave-out`: go on without a day whose logs cannot be mended, and take it back."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from jobs.commands.arguments import iso_date, user
from jobs.planning.left_out import left_out
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.tables import Tables
from pipelines.quality.alert_text import plain

EXAMPLES = """examples:
  promoted-ctr leave-out                                              which days are, and why
  promoted-ctr leave-out --date 2026-02-06 --reason "one crawler's traffic"
  promoted-ctr leave-out --date 2026-02-06 --undo --reason "logs are mended"

A day that is left out counts as if nothing had landed: it is in no window, no history and no
state, and is not made. Its rows are removed by the next run, which makes anew what had read them;
scores that were published for it stay. Taken back, it is made again from its landing files."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    parser.add_argument("--date", type=iso_date, metavar="D", help="the log day")
    parser.add_argument("--reason", metavar="TEXT", help="recorded with the day")
    parser.add_argument("--undo", action="store_true", help="take the day back")
    parser.add_argument("--run-id", metavar="ID", help="name of this decision in the records")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """List the days that are left out, or decide on one."""
    from jobs.commands.run import start_runner
    from jobs.planning.left_out import decide

    if arguments.date is None:
        if arguments.reason or arguments.undo:
            raise UsageError("say which day: --date D")
        _print(console, tables)
        return ExitCode.DONE
    if not arguments.reason:
        raise UsageError('say why: --reason "..."; it is kept with the day')
    with start_runner(config, console, arguments) as runner, runner.lock:
        runner.records.reread()
        is_out = arguments.date in left_out(runner.records.newest)
        if is_out == (not arguments.undo):
            state = "is left out already" if is_out else "is not left out"
            console.print(f"nothing to do: {arguments.date} {state}")
            return ExitCode.DONE
        reason = plain(arguments.reason)
        leave = not arguments.undo
        decide(
            runner.records, runner.run_id, arguments.date, leave=leave, reason=reason, who=user()
        )
    done = "is taken back" if arguments.undo else "is left out of all that later days read"
    console.print(f"{arguments.date} {done}; the next run makes what depends on it", markup=False)
    return ExitCode.DONE


def _print(console: Console, tables: Tables) -> None:
    from jobs.planning.record import read_records

    days = left_out(read_records(tables)) if tables.exists("runs") else {}
    if not days:
        console.print("no day is left out")
        return
    table = Table("day", "reason", box=None, pad_edge=False)
    for day, reason in sorted(days.items()):
        table.add_row(str(day), reason)
    console.print(table, markup=False)

"""`promoted-ctr unlock`: who writes to a warehouse; the lease taken from a run that is gone."""

from __future__ import annotations

import argparse

from rich.console import Console

from jobs.commands.arguments import user
from jobs.planning.record import Attempt, Records, now
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode
from jobs.step import DayRecord
from jobs.storage.tables import Tables
from pipelines.quality.alert_text import plain

UNLOCK = "unlock"
"""The name under which `runs` holds such decisions."""

EXAMPLES = """examples:
  promoted-ctr unlock                                     who writes
  promoted-ctr unlock --reason "its machine is gone"      let others write at once

In an object store a run holds a lease, which it renews every 15 seconds; of a run that was killed
it runs out by itself within 80. A run from which it is taken ends with code 30 before its next
commit. On a local disk the lock goes with its process."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Own flags."""
    parser.epilog = EXAMPLES
    parser.add_argument("--reason", metavar="TEXT", help="recorded; without it nothing is done")
    parser.add_argument("--run-id", metavar="ID", help="name of this decision in the records")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Say who holds the lease, or take it away."""
    from jobs.storage.lease import free_lease, read_lease

    if "://" not in tables.root:
        console.print(
            f"nothing to do: the lock of {tables.root} goes with its process; end that one",
            markup=False,
        )
        return ExitCode.DONE
    found = read_lease(tables.root)
    if found is None:
        console.print(f"nothing to do: nobody writes to {tables.root}", markup=False)
        return ExitCode.DONE
    holder = found[0]
    if not arguments.reason:
        console.print(f"{tables.root} is written by {holder}", markup=False)
        return ExitCode.DONE
    free_lease(tables.root)
    details = {"reason": plain(arguments.reason), "who": user(), "taken_from": str(holder)}
    at = now()
    tables.create(["runs"])
    attempt = Attempt(arguments.run_id or f"{UNLOCK}-{at:%Y%m%dT%H%M%S}", UNLOCK, at, "", {}, {})
    Records(tables).add(attempt.rows({at.date(): DayRecord(details=details)}, {}))
    console.print(f"the lease was taken from {holder}; others may write", markup=False)
    return ExitCode.DONE

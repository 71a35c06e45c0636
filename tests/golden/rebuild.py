"""Write the golden files anew and print what differs: ``python -m tests.golden.rebuild``."""

from __future__ import annotations

import difflib
import json
import sys
import tempfile
from pathlib import Path

from tests.e2e.conftest import DAYS, DIRTY
from tests.golden import digests, help_texts
from tests.support.world import Warehouse, World, tiny


def rebuild_help() -> None:
    """Texts of ``--help``."""
    stored, now = help_texts.read_stored(), help_texts.help_texts()
    help_texts.STORED.mkdir(exist_ok=True)
    for name in sorted(set(stored) | set(now)):
        before, after = stored.get(name, ""), now.get(name, "")
        lines = [text.splitlines() for text in (before, after)]
        for line in difflib.unified_diff(*lines, f"{name} before", f"{name} now", lineterm=""):
            print(line)
        path = help_texts.STORED / f"{name}.txt"
        if name in now:
            path.write_text(after)
        else:
            path.unlink()


def rebuild_digests() -> None:
    """Digests of what each job writes."""
    stored = digests.read_stored() if digests.STORED.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        world = World.make(Path(name), tiny(DAYS, dirty_rows_per_kind=DIRTY))
        warehouse = Warehouse(Path(name) / "warehouse", world.landing)
        called = warehouse.call("run")
        if called.code:
            sys.exit(f"the run ended with {called.code}: {called.err}")
        now = digests.job_digests(warehouse, world.config)
    for job, entry in now.items():
        told = digests.difference(job, stored.get(job), entry)
        if told:
            print(told)
    digests.STORED.write_text(json.dumps(now, indent=1) + "\n")


if __name__ == "__main__":
    rebuild_help()
    rebuild_digests()

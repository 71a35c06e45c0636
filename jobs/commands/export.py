"""`promoted-ctr export`: one file from which a server scores any request."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console

from jobs.commands.arguments import iso_date
from jobs.setup.config import Config
from jobs.setup.exits import ExitCode, UsageError
from jobs.storage.published import read_scores
from jobs.storage.tables import Tables
from pipelines.quality.wording import number

EXAMPLES = """examples:
  promoted-ctr export --to scores.bin                     the newest published day
  promoted-ctr export --date 2026-02-06 --to scores.bin
  promoted-ctr export --staged --to scores.bin            what was scored last, published or not

In a server, with numpy and mmh3:
  from pipelines.scorer.scorer import Scorer
  scorer = Scorer.load("scores.bin")
  scorer.score(["l-1"], {"query": ["blue mug"], "device": ["mobile"]}).p_click"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this command."""
    parser.description = (
        "Write all that a server needs to score listings for requests as one file: docs/serving.md."
    )
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--to", required=True, type=Path, metavar="FILE", help="the file to write")
    parser.add_argument("--date", type=iso_date, metavar="D", help="day; default: the newest")
    parser.add_argument("--staged", action="store_true", help="scores that are not published, too")


def run(arguments: argparse.Namespace, config: Config, tables: Tables, console: Console) -> int:
    """Write the file, whole or not at all.

    Raises
    ------
    InputMissing
        There are no such scores, or what they were made from is gone or has changed.
    UsageError
        The file cannot be written, or the scorer does not know what is registered.
    """
    # The models' kernels take half a second to load, which --help does without.
    from jobs.planning.exporting import score_file

    target: Path = arguments.to
    scores = read_scores(tables, ds=arguments.date, staged=arguments.staged)
    content = score_file(scores.made_from(tables), config, scores)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(target)
    except OSError as problem:
        beside.unlink(missing_ok=True)
        raise UsageError(f"--to {target}: {problem.strerror}") from None
    state = "published" if scores.is_published else "staged"
    console.print(
        f"{target}: {state} scores of {scores.ds}, {number(len(content) / 1e6, 1)} MB",
        highlight=False,
    )
    return ExitCode.DONE

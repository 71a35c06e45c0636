"""What hundreds of daily runs leave, and what planning costs on it, before and after `maintain`.

``python -m tests.benchmarks.many_days [--runs 400] [--real 20] [--folder DIR]``. A tiny marketplace
lands day by day, and every day is made by a run of its own. The first and the last are real ones:
the whole command line, with its checks, alerts and reports, only Spark is done in the process. The
others are planned, committed and recorded as ever, of rows that a real one has written
(`tests/support/copied_days.py`); what either leaves is printed. With a folder that is kept, days
that are made are not made again. Then, with ``--past N``, the last N publications are read,
computed again from what `runs` names, and gone back to one after the other, from the newest.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from jobs.__main__ import main as command
from jobs.landing.sources import Source
from jobs.planning.record import read_records
from jobs.planning.runner import Runner
from jobs.setup.config_layers import load_config
from jobs.setup.exits import ExitCode
from jobs.storage.published import SCORES, read_scores
from jobs.storage.reading import PUBLISH_JOB, publications, read_runs
from jobs.storage.tables import Tables
from schemas.catalog import TABLES
from tests.support.chain import SMALL_MODELS, Silent
from tests.support.copied_days import CopiedDays
from tests.support.driver import drive
from tests.support.local_spark import LocalSpark
from tests.support.world import LOGS, World, day, tiny

BOOTSTRAP_DAYS = 31
"""Days of the new warehouse: the longest window is full."""
TOLD_EVERY = 25
SETTINGS = (*SMALL_MODELS, "quality.great_expectations=false")
SMALL_DAY = {"search_impressions_per_day": 150, "promoted_impressions_per_day": 150}


@dataclass(frozen=True)
class Aged:
    """A warehouse that grows by a run a day."""

    world: World
    folder: Path

    @property
    def root(self) -> Path:
        """The tables."""
        return self.folder / "warehouse"

    @property
    def landing(self) -> Path:
        """What has landed so far."""
        return self.folder / "landing"

    def land(self, number: int) -> None:
        """Have a day land, whole: clicks without their impressions would be for Spark to judge."""
        for log in LOGS:
            name = f"{log}/ds={day(number)}"
            shutil.copytree(self.world.landing / name, self.landing / name)

    def words(self, root: Path, command: str, *more: str) -> list[str]:
        """A command on a warehouse."""
        words = [command, *more, "--root", str(root), "--landing", str(self.landing)]
        for setting in SETTINGS:
            words += ["--set", setting]
        return words

    @property
    def tables(self) -> Tables:
        """The tables, to write."""
        return Tables(str(self.root), LocalSpark)  # type: ignore[arg-type]

    @property
    def made(self) -> set[date]:
        """Days whose runs have come to their ends."""
        return {of for job, of in read_records(self.tables) if job == PUBLISH_JOB}

    def copy(self, number: int, copied: CopiedDays) -> None:
        """Make a day of the rows of another."""
        settings = [*SETTINGS, f"storage.landing='{self.landing}'"]
        config = load_config(settings=settings, environment={})
        source, run_id = Source.load("canonical", self.landing), f"copied-{day(number)}"
        runner = Runner(config, source, self.tables, run_id, Silent())
        copied.make(runner, day(number))

    def run(self, number: int) -> None:
        """Make a day."""
        words = self.words(self.root, "run", "--date", str(day(number)))
        called = drive([*words, "--log-format", "text"], self.folder)
        # A gate may be right about so small a day: what is left behind is the same.
        assert called.code in (ExitCode.DONE, ExitCode.QUALITY), called


def main() -> None:
    """Make the days that are not made, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--runs", type=int, default=400, metavar="N")
    parser.add_argument("--real", type=int, default=20, metavar="N", help="runs that are real")
    parser.add_argument("--times", type=int, default=5, help="commands of which a median is of")
    parser.add_argument("--past", type=int, default=0, metavar="N", help="publications to go back")
    parser.add_argument("--folder", type=Path, metavar="DIR")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        new, aged, last = grow(folder, given.runs, given.real)
        print("warehouse data_files log_files of_runs MB plan_cpu plan_wall idle_cpu idle_wall")
        tell("new", new, new.root, BOOTSTRAP_DAYS, given.times)
        tell(f"after {given.runs} runs", aged, aged.root, last, given.times)
        kept = folder / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(aged.root, kept)
        cpu, wall = cost(aged.words(kept, "maintain"))
        print(f"maintain: {cpu:.1f} CPU-s, {wall:.1f} s")
        tell("after maintain", aged, kept, last, given.times)
        if given.past:
            go_back(aged, kept, given.past)


def grow(folder: Path, runs: int, real: int) -> tuple[Aged, Aged, int]:
    """The new warehouse, the aged one, and the number of its last day."""
    last = BOOTSTRAP_DAYS + runs
    config = tiny(last + 1, **SMALL_DAY)
    made = (folder / "world").is_dir()
    world = World(folder / "world", config) if made else World.make(folder / "world", config)
    new, aged = Aged(world, folder / "new"), Aged(world, folder / "aged")
    if not new.root.is_dir():
        for number in range(1, BOOTSTRAP_DAYS + 2):
            new.land(number)
        new.run(BOOTSTRAP_DAYS)
    if not aged.root.is_dir():
        shutil.copytree(new.folder, aged.folder)
    copied, made = None, aged.made
    for number in range(BOOTSTRAP_DAYS + 1, last + 1):
        if not (aged.landing / "impressions" / f"ds={day(number + 1)}").is_dir():
            aged.land(number + 1)
        if day(number) in made:
            continue
        if copied is None and number > BOOTSTRAP_DAYS + real:
            copied = CopiedDays(aged.tables, day(BOOTSTRAP_DAYS + real))
        is_real = number <= BOOTSTRAP_DAYS + real or number == last
        is_told = number % TOLD_EVERY == 0
        before, began = held(aged) if is_told else (), time.monotonic()
        if is_real or copied is None:
            aged.run(number)
        else:
            aged.copy(number, copied)
        if is_told:
            took = f"{time.monotonic() - began:.1f} s"
            more = [now - then for now, then in zip(held(aged), before, strict=True)]
            kind = "real" if is_real else "copied"
            print(
                f"{day(number)}, {kind}: {more[0]} data files, {more[1]} log files, {more[2]} of "
                f"runs, {more[3]} bytes, {took}", file=sys.stderr, flush=True,
            )  # fmt: skip
    return new, aged, last


def go_back(aged: Aged, root: Path, count: int) -> None:
    """Try what is promised of old publications, and print how many kept it."""
    tables = Tables(str(root))
    found = publications(read_runs(tables))
    days = sorted(found)[-count:]
    again, back = 0, 0
    for of in reversed(days):
        word = ("--date", str(of))
        again += main_of(aged.words(root, "export", *word, "--to", str(root / "one.bin")))
        rows = read_scores(tables, ds=of).table.select(["listing_id", "p_click"])
        current = Tables(str(root)).read_arrow("current_scores", columns=["listing_id", "p_click"])
        back += current.sort_by("listing_id").equals(rows.sort_by("listing_id"))
        assert main_of(aged.words(root, "unpublish", *word, "--reason", "a trial"))
    newest = days[-1]
    version = str(found[newest]["versions_in"][SCORES])
    words = ("publish", "--date", str(newest), "--version", version, "--reason", "a trial")
    assert main_of(aged.words(root, *words))
    (held_day,) = Tables(str(root)).read_arrow("current_scores")["ds"].unique().to_pylist()
    assert held_day == newest
    print(f"of the last {len(days)} publications {again} computed again, {back} gone back to")


def main_of(words: Sequence[str]) -> bool:
    """Whether a command in this process ends well."""
    with contextlib.redirect_stdout(io.StringIO()):
        return command(list(words)) == ExitCode.DONE


def held(aged: Aged, root: Path | None = None) -> tuple[int, int, int, int]:
    """Data files, files of logs, commits of `runs`, and bytes of all tables."""
    root = root or aged.root
    tables = [path for path in root.iterdir() if path.name in TABLES]
    files = [path for table in tables for path in table.rglob("*") if path.is_file()]
    logs = [path for path in files if path.parent.name == "_delta_log"]
    runs = [p for p in logs if p.parent.parent.name == "runs" and p.suffix == ".json"]
    data = len(files) - len(logs)
    return data, len(logs), len(runs), sum(path.stat().st_size for path in files)


def tell(name: str, aged: Aged, root: Path, number: int, times: int) -> None:
    """Print a line of the table: medians of commands, each in a process of its own."""
    data, logs, runs, size = held(aged, root)
    figures = [f"{data}", f"{logs}", f"{runs}", f"{size / 1e6:.1f}"]
    of = ("--date", str(day(number)))
    for words in (["run", *of, "--dry-run"], ["run", *of]):
        costs = [cost(aged.words(root, *words)) for _ in range(times)]
        figures += [f"{statistics.median(one):.2f}" for one in zip(*costs, strict=True)]
    print(f"{name:20}", *figures, flush=True)


def cost(words: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and wall time of a command."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    # As in `run`: a gate may be right about so small a day.
    assert code in (ExitCode.DONE, ExitCode.QUALITY), process.stderr and process.stderr.read()
    return used.ru_utime + used.ru_stime, time.monotonic() - began


if __name__ == "__main__":
    main()

"""Bad nights of a small warehouse: what happens, and how it has to end.

A night is a day to be made, or made again of another landing file, and a fault drawn from a seed.
After it the next run has to leave what an undisturbed one leaves, or to say in one line what is
damaged and which command mends it; that command then has to mend it.
"""

from __future__ import annotations

import random
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs

from jobs import FLOW
from jobs.setup.exits import ExitCode
from jobs.setup.problems import machine_problem, said_of
from jobs.storage.reading import published_days, read_runs
from jobs.storage.tables import Tables
from tests.golden.digests import table_digest
from tests.support.chain import SHORT_WINDOWS, SMALL_MODELS
from tests.support.driver import UNDISTURBED, Disturbance, drive, started
from tests.support.world import Called, World, day, tiny

DAYS = 4
DAY = day(DAYS)
LOG = f"impressions/ds={DAY}/part-00000.parquet"
"""The landing file that is another one, where a day is made again."""
SETTINGS = (*SHORT_WINDOWS, *SMALL_MODELS, "quality.great_expectations=false")
MENDS_WITHIN = 3
"""So many commands may it take until all is as it should be."""


@dataclass(frozen=True)
class Kind:
    """What is to be made, from what, and what comes out of it undisturbed."""

    name: str
    warehouse: Path
    landing: Path
    expected: Mapping[str, str]
    seconds: float


class Grounds:
    """Undisturbed warehouses, each made once, from which every night starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = World.make(folder / "world", tiny(DAYS))

    @cached_property
    def new_day(self) -> Kind:
        """The day after those that are published."""
        before = self.folder / "before"
        for number in range(2, DAYS):
            assert self._run(before, self.world.landing, number).code == ExitCode.DONE
        return self._kind("new day", before, self.world.landing)

    @cached_property
    def day_again(self) -> Kind:
        """A published day of which another file has landed since."""
        landing = self.folder / "changed"
        made = self.new_day.warehouse.with_name("new day")
        shutil.copytree(self.world.landing, landing)
        rows = pq.ParquetFile(landing / LOG).read()
        pq.write_table(rows.slice(0, len(rows) - 5), landing / LOG)
        return self._kind("day again", made, landing)

    def _kind(self, name: str, warehouse: Path, landing: Path) -> Kind:
        root = self.folder / name
        shutil.copytree(warehouse, root)
        began = time.monotonic()
        called = self._run(root, landing, DAYS)
        assert called.code == ExitCode.DONE, called
        seconds = time.monotonic() - began
        return Kind(name, warehouse, landing, digests(str(root)), seconds)

    def _run(self, root: Path, landing: Path, number: int) -> Called:
        words = ["run", "--date", str(day(number)), *places(str(root), landing)]
        return drive(words, self.folder)


def places(root: str, landing: Path) -> list[str]:
    """The arguments of every command."""
    words = ["--root", root, "--landing", str(landing), "--log-format", "text"]
    for setting in SETTINGS:
        words += ["--set", setting]
    return words


def digests(root: str) -> dict[str, str]:
    """A digest of every table that the jobs make, and whether the day is published."""
    warehouse: Any = SimpleNamespace(tables=Tables(root))
    made = [name for job in FLOW for name in job.writes if warehouse.tables.exists(name)]
    found = {name: table_digest(warehouse, name) for name in made}
    return found | {"published": str(DAY in published_days(read_runs(warehouse.tables)))}


@dataclass(frozen=True)
class Night:
    """One warehouse, on its bad night."""

    kind: Kind
    folder: Path
    root: str
    landing: Path

    @property
    def files(self) -> tuple[fs.FileSystem, str]:
        """The file system of the warehouse, and its path there."""
        found: tuple[fs.FileSystem, str] = (
            fs.FileSystem.from_uri(self.root)
            if "://" in self.root
            else (fs.LocalFileSystem(), self.root)
        )
        return found

    @property
    def reports(self) -> str:
        """The folder of reports."""
        return f"{self.root}/reports"

    def words(self, *more: str) -> list[str]:
        """`run` of the day."""
        return ["run", "--date", str(DAY), *more, *places(self.root, self.landing)]

    def run(self, disturbance: Disturbance = UNDISTURBED, *more: str) -> Called:
        """Make the day."""
        return drive(self.words(*more), self.folder, disturbance)

    def command(self, *words: str, disturbance: Disturbance = UNDISTURBED) -> Called:
        """Another command on it."""
        return drive([*words, *places(self.root, self.landing)], self.folder, disturbance)

    def start(self, disturbance: Disturbance = UNDISTURBED) -> Callable[[], Called]:
        """`run`, not waited for."""
        return started(self.words(), self.folder, disturbance)


Fault = Callable[[Night, random.Random], tuple[str, list[Called]]]
"""What happens: what it was, in words, and how the commands ended to which it happened."""


@dataclass(frozen=True)
class Ending:
    """How a night ended.

    Attributes
    ----------
    what : str
        What happened.
    steps : sequence of str
        What was called afterwards, and how it ended.
    wrong : str
        What is not as it should be; empty where all is.
    """

    what: str
    steps: Sequence[str]
    wrong: str


@contextmanager
def night_of(kind: Kind, folder: Path, bucket: str = "") -> Iterator[Night]:
    """Lay a warehouse out for a night: in a folder, or in a bucket."""
    folder.mkdir()
    landing = folder / "landing"
    shutil.copytree(kind.landing, landing)
    root = str(folder / "warehouse")
    if bucket:
        root = f"{bucket}/{folder.name}"
        target, path = fs.FileSystem.from_uri(root)
        fs.copy_files(str(kind.warehouse), path, destination_filesystem=target)
    else:
        shutil.copytree(kind.warehouse, root)
    yield Night(kind, folder, root, landing)
    shutil.rmtree(folder)


def spend(night: Night, fault: Fault, draw: random.Random) -> Ending:
    """Have the fault happen, then do what a person would who reads what is said."""
    what, called = fault(night, draw)
    wrong = [said for one in called if (said := badly_said(one))]
    steps: list[str] = []
    last = night.run()
    mends = 0
    while last.code != ExitCode.DONE and mends < MENDS_WITHIN:
        steps.append(f"run: {last.code}: {last.err.strip()}")
        if said := badly_said(last):
            wrong.append(said)
        mend = command_in(last.err)
        if mend is None:
            break
        steps += mend_by(night, mend)
        mends += 1
        last = night.run()
    if last.code == ExitCode.DONE and (mend := damage_said(night)):
        steps += mend_by(night, mend)
        last = night.run()
    if last.code != ExitCode.DONE:
        wrong.append(f"the run ended with {last.code}: {last.err.strip()}")
    else:
        wrong += differences(night)
    return Ending(what, steps, "; ".join(wrong))


def mend_by(night: Night, mend: Sequence[str]) -> list[str]:
    """Do what a line has said, and then what that says; how it ended, in words."""
    steps = []
    pending = [list(mend)]
    while pending:
        words = pending.pop(0)
        mended = night.command(*words)
        steps.append(f"{' '.join(words)}: {mended.code}: {mended.err.strip()}")
        pending += [shlex.split(named) for named in _COMMAND.findall(mended.out)]
    return steps


def damage_said(night: Night) -> list[str] | None:
    """The command that a reader of the tables is told, where one of them cannot be read."""
    try:
        digests(night.root)
    except Exception as problem:
        return command_in(f"x: {machine_problem(problem) or problem}")
    return None


def differences(night: Night) -> list[str]:
    """What is not as after an undisturbed run."""
    try:
        found = digests(night.root)
    except Exception as problem:
        return [f"a table cannot be read: {said_of(problem)}"]
    names = sorted(found.keys() | night.kind.expected.keys())
    differing = [name for name in names if found.get(name) != night.kind.expected.get(name)]
    wrong = [f"differs: {', '.join(differing)}"] if differing else []
    files, path = night.files
    pages = [f"{path}/reports/{DAY}.html", f"{path}/reports/{DAY}.json"]
    missing = [p for p in pages if files.get_file_info(p).type is not fs.FileType.File]
    wrong += [f"no report {page}" for page in missing]
    again = night.run()
    if again.code != ExitCode.DONE or "nothing to do" not in again.out:
        wrong.append(f"the run after it ended with {again.code} and made something again")
    return wrong


def badly_said(called: Called) -> str:
    """What is wrong with how a command ended; empty where it is one line with a cause."""
    lines = [line for line in called.err.splitlines() if line.strip()]
    if "panicked at" in called.err:
        # The Rust of delta-rs prints that a thread of its own has ended, and raises as it should.
        lines = [line for line in lines if line.startswith("promoted-ctr: ")]
    if called.code in (-9, -15, ExitCode.TERMINATED):
        return ""
    if called.code == ExitCode.DONE:
        # Of an executor that is lost, Spark may tell: the run has done without it.
        lines = [line for line in lines if "TaskSchedulerImpl: Lost executor " not in line]
        told = [line for line in lines if not line.startswith("promoted-ctr: ")]
        return f"ended well and said {told}" if told else ""
    # Besides the one line of how it ended there may be one of alerts that could not be told.
    others = [line for line in lines if not line.startswith("promoted-ctr: alerts could not")]
    if len(others) != 1 or not others[0].startswith("promoted-ctr: "):
        return f"ended with {called.code} and said not one line: {called.err.strip()[-900:]!r}"
    if called.code == ExitCode.UNEXPECTED:
        return f"ended unexpectedly: {others[0]}"
    return ""


_COMMAND = re.compile(r'promoted-ctr ((?:[a-z][\w-]*)(?: (?:--?[\w-]+|"[^"]*"|[\w./-]+))*)')


def command_in(text: str) -> list[str] | None:
    """The command that a line names."""
    named = _COMMAND.findall(text.partition(": ")[2])
    return shlex.split(named[-1]) if named else None

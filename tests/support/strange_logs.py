"""A fault in one landing file of a small world, and what must hold however it ends."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from random import Random
from unittest.mock import patch

import pyarrow.parquet as pq

from jobs.commands import run as run_command
from jobs.setup.exits import ExitCode
from jobs.storage.reading import read_runs
from pipelines.quality.gates import gates
from tests.support.chain import Chain
from tests.support.formats import Row
from tests.support.local_spark import LocalSpark
from tests.support.log_faults import FAULTS, LogFault
from tests.support.world import Called, World, day, tiny

ENDINGS = {ExitCode.DONE, ExitCode.USAGE, ExitCode.QUALITY, ExitCode.INPUT}
DAYS = 5
RUN_ID = "strange"
_FORMS = ("parquet", "jsonl", "csv")


@dataclass(frozen=True)
class Grounds:
    """A chain that is made up to the day before the last."""

    chain: Chain

    @classmethod
    def make(cls, folder: Path) -> Grounds:
        """Simulate and make; needs no Java."""
        world = World.make(folder, tiny(DAYS))
        chain = Chain(folder / "warehouse", world.landing)
        chain.make("publish_scores", day(DAYS - 1))
        return cls(chain)

    def spend(
        self, seed: int, folder: Path, *, job: str = "run", java: bool = True, only: str = ""
    ) -> Ending:
        """Do a fault, drawn from a seed, to the last day and make it.

        Parameters
        ----------
        job : str
            The command: the whole run, or a job alone.
        java : bool
            Without, only faults are drawn of days that need none.
        only : str
            What the fault's name must have in it.
        """
        draw = Random(seed)
        kinds = [f for f in FAULTS if only in f.name and (java or not f.needs_spark)]
        fault = draw.choice(kinds)
        log = draw.choice(fault.logs)
        made = self.chain.duplicate(folder)
        at = made.landing / log / f"ds={day(DAYS)}"
        rows = read_rows(at)
        shutil.rmtree(at)
        at.mkdir()
        fault.write(draw, log, rows, at)
        words = [word for setting in made.settings for word in ("--set", setting)]
        words += ["--set", "quality.great_expectations=false", "--run-id", RUN_ID]
        words += ["--date", str(day(DAYS))]
        if fault.needs_spark:
            # Only the landing files need Java; whatever follows is the same without, and quicker.
            called = made.call("ingest_logs", *words)
            if called.code or job == "ingest_logs":
                return Ending(seed, fault, log, called, wrong(made, log, called))
        with patch.object(run_command, "_start", lambda config, runner: LocalSpark()):
            called = made.call(job, *words)
        return Ending(seed, fault, log, called, wrong(made, log, called))


@dataclass(frozen=True)
class Ending:
    """How a day with a fault ended, and what was wrong with that."""

    seed: int
    fault: LogFault
    log: str
    called: Called
    wrong: list[str]

    def __str__(self) -> str:
        last = self.called.err.strip().splitlines()[-1:] or ["done"]
        return f"seed {self.seed}: {self.fault.name} in {self.log}: {self.called.code}: {last[0]}"


def spend_together(seeds: Sequence[int], folder: Path, *, only: str = "") -> list[Ending]:
    """Ingest days of which each has a fault, drawn from its seed, as one range.

    A day that ends the range is judged by that, and made whole for the others.
    """
    world = World.make(folder, tiny(len(seeds) + 1))
    made = Chain(folder / "warehouse", world.landing)
    drawn: dict[date, tuple[int, LogFault, str]] = {}
    whole: dict[date, Path] = {}
    for number, seed in enumerate(seeds, start=2):
        draw = Random(seed)
        fault = draw.choice([f for f in FAULTS if only in f.name])
        log, at = draw.choice(fault.logs), day(number)
        drawn[at] = seed, fault, log
        landed = made.landing / log / f"ds={at}"
        whole[at] = shutil.copytree(landed, folder / "whole" / str(at))
        rows = read_rows(landed)
        shutil.rmtree(landed)
        landed.mkdir()
        fault.write(draw, log, rows, landed)
    words = ["--start", str(min(drawn)), "--end", str(max(drawn))]
    words += ["--set", "quality.great_expectations=false", "--run-id", RUN_ID]
    endings = []
    while drawn:
        called = made.call("ingest_logs", *words)
        records = {r["ds"]: r for r in read_runs(made.tables) if r["run_id"] == RUN_ID}
        is_made = called.code in (ExitCode.DONE, ExitCode.QUALITY)
        told = [at for at in drawn if str(at) in called.err]
        ended = [
            at for at in drawn if is_made and "logs" in records.get(at, {"details": {}})["details"]
        ]
        for at in ended or told or list(drawn):
            seed, fault, log = drawn.pop(at)
            found = wrong_call(called)
            if at in ended:
                found += lost(
                    made.landing / log / f"ds={at}", records[at]["details"]["logs"].get(log)
                )
            elif at not in told:
                found.append("it is not said which day has ended the range")
            code = records[at]["exit_code"] if at in ended else called.code
            endings.append(Ending(seed, fault, log, replace(called, code=code), found))
            landed = made.landing / log / f"ds={at}"
            shutil.rmtree(landed, ignore_errors=True)
            shutil.copytree(whole[at], landed)
    return endings


def read_rows(folder: Path) -> list[Row]:
    """The rows of a day's Parquet files, maps as mappings."""
    table = pq.ParquetDataset(sorted(folder.glob("*.parquet")), partitioning=None).read()
    rows: list[Row] = table.to_pylist()
    for row in rows:
        if isinstance(row.get("attributes"), list):
            row["attributes"] = dict(row["attributes"])
    return rows


def wrong_call(called: Called) -> list[str]:
    """What must hold of how a command ends, and does not."""
    found = []
    if called.code not in ENDINGS:
        found.append(f"it ended with {called.code}")
    if "Traceback" in called.err or "\n\tat " in called.err:
        found.append("a stack trace was shown")
    if called.code and not called.err.strip().splitlines()[-1:][0].startswith("promoted-ctr: "):
        found.append("no line says why")
    return found


def wrong(made: Chain, log: str, called: Called) -> list[str]:
    """Whatever must hold, and does not."""
    found = wrong_call(called)
    records = [r for r in read_runs(made.tables) if r["run_id"] == RUN_ID]
    ingested = [r for r in records if r["job"] == "ingest_logs" and r["ds"] == day(DAYS)]
    folder = made.landing / log / f"ds={day(DAYS)}"
    for record in ingested:
        if "logs" in record["details"]:
            found += lost(folder, record["details"]["logs"].get(log))
    published = [r["ds"] for r in records if r["job"] == "publish_scores" and r["published"]]
    for at in published:
        found += excluded(made, at)
    return found


def lost(folder: Path, counts: dict[str, object] | None) -> list[str]:
    """Rows and files of a day that are neither accepted, nor refused, nor named as not read."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    read = [path for path in files if _is_read(path.relative_to(folder))]
    rows = sum(physical_rows(path) for path in read)
    most = sum(max(physical_rows(path), lines(path)) for path in read)
    beside = [
        path for path in files
        if path not in read and not path.name.endswith(".crc") and path.name != "_SUCCESS"
    ]  # fmt: skip
    if counts is None:
        return [f"{rows} rows are in no account"] if rows else []
    said = []
    if counts["in"] != counts["accepted"] + counts["quarantined"]:  # type: ignore[operator]
        said.append(f"the account does not add up: {counts}")
    # Where quotes are not a CSV file's own, lines and rows of it are a matter of opinion.
    if not rows <= int(str(counts["in"])) <= most:
        said.append(f"{rows} rows are in the files, {counts['in']} in the account")
    empty = sum(not path.stat().st_size for path in read)
    unread = counts.get("unread", {"files": 0})
    if unread["files"] != len(beside) + empty:  # type: ignore[index]
        said.append(f"{len(beside) + empty} files are not read, {unread} are told")
    return said


def _is_read(name: Path) -> bool:
    if any(part.startswith((".", "_")) for part in name.parts):
        return False
    endings = [end for end in name.name.lower().split(".")[1:] if end not in ("gz", "bz2")]
    return bool(endings) and endings[-1] in _FORMS


def physical_rows(path: Path) -> int:
    """What a person would count in a file."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data, path = gzip.decompress(data), path.with_suffix("")
    if path.suffix == ".bz2":
        data, path = bz2.decompress(data), path.with_suffix("")
    # Whatever its name: so it is read.
    if path.suffix == ".parquet" or data[:4] == b"PAR1":
        return int(pq.ParquetFile(io.BytesIO(data)).metadata.num_rows) if data else 0
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    if path.suffix == ".jsonl":
        return sum(bool(line.strip()) for line in text.replace("\r\n", "\n").split("\n"))
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row and row != [""]]
    return max(len(rows) - 1, 0)


def lines(path: Path) -> int:
    """Lines of a text file, without its header or with it."""
    return 0 if path.suffix != ".csv" else path.read_bytes().count(b"\n")


def excluded(made: Chain, at: date) -> list[str]:
    """Gates that a published day does not pass."""
    metrics = made.tables.read_arrow("model_metrics", [at]).to_pylist()
    failed = [g for g in gates(metrics, 1.0, made.config.publish) if g.status == "FAIL"]
    return [f"{at} is published, and {gate.name} excludes its bound" for gate in failed]


def as_json(ending: Ending) -> str:
    """For a log of a campaign."""
    called = ending.called
    told = {"seed": ending.seed, "fault": ending.fault.name, "log": ending.log, "code": called.code}
    return json.dumps({**told, "wrong": ending.wrong, "said": called.err[-600:]})

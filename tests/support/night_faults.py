"""The faults of bad nights, each drawn from a seed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from jobs import FLOW
from schemas.catalog import TABLES
from tests.support.bad_nights import LOG, Fault, Night
from tests.support.driver import Disturbance, Moment
from tests.support.world import Called

Happened = tuple[str, list[Called]]

_MOMENTS = (
    ("jobs.storage.tables:Tables._commit", 40),
    ("jobs.storage.commits:commit_after", 40),
    ("jobs.storage.commits:once", 40),
    ("jobs.storage.day_file_writer:OpenDays.close", 12),
    ("jobs.planning.record:Records.add", 14),
    ("jobs.planning.checks:record", 14),
    ("jobs.planning.runner:Runner.check_quality", 14),
    ("jobs.storage.lock:WriterLock.__enter__", 1),
    ("jobs.storage.lock:WriterLock.__exit__", 1),
    ("jobs.reporting.judging:tell_run", 1),
    ("jobs.reporting.alert_log:write_events", 1),
    ("jobs.reporting.pages:write_page", 3),
)  # fmt: skip
"""Functions inside or beside commits, and how often a run calls them at most."""
_READING = (
    ("jobs.ingest_logs:run", 1),
    ("jobs.landing.typed_files:typed_file", 1),
    ("jobs.landing.typed_files:TypedRows._read", 2),
    ("jobs.landing.typed_files:certain_rows", 1),
    ("jobs.storage.tables:Tables.commit", 2),
    ("jobs.planning.runner:Runner.check_quality", 1),
)
_HOUR_S = 3600.0
_ID = "impression_id"


def killed_at_any_time(night: Night, draw: random.Random) -> Happened:
    """Kill -9, or a scheduler's SIGTERM, from outside."""
    by = draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
    after = draw.uniform(0, night.kind.seconds)
    called = night.run(Disturbance(kill_after_s=after, signal=by))
    return f"{by.name} after {after:.3f} s", [called]


def killed_at_a_point(night: Night, draw: random.Random) -> Happened:
    """Killed at a chosen point: before, after, or while it is passed."""
    at, most = draw.choice(_MOMENTS)
    phase = draw.choice(["before", "after", "during"])
    moment = Moment(at, draw.randint(1, most), phase, draw.uniform(0, 0.02))  # type: ignore[arg-type]
    called = night.run(Disturbance(moment=moment))
    return f"killed {phase} call {moment.nth} of {at}", [called]


def killed_while_mending(night: Night, draw: random.Random) -> Happened:
    """Killed, and the next run killed as well."""
    done = [killed_at_a_point(night, draw) for _ in range(2)]
    return " and ".join(what for what, _ in done), [one for _, called in done for one in called]


def killed_upkeep(night: Night, draw: random.Random) -> Happened:
    """`maintain` killed at any time, after half a run."""
    done = killed_at_a_point(night, draw)
    after = draw.uniform(0, 2.0)
    upkeep = night.command("maintain", disturbance=Disturbance(kill_after_s=after))
    return f"{done[0]}, then upkeep killed after {after:.3f} s", [*done[1], upkeep]


def two_drivers(night: Night, draw: random.Random) -> Happened:
    """Two runs of the same day, one a little later, one perhaps killed."""
    late = Disturbance(kill_after_s=draw.uniform(0, night.kind.seconds))
    ends = [night.start(late if draw.random() < 0.5 else Disturbance()), night.start()]
    return "two drivers", [end() for end in ends]


def wrong_clock(night: Night, draw: random.Random) -> Happened:
    """A run under a clock that jumps."""
    by = draw.choice([-400 * 24, -24, -1, 1, 24, 400 * 24]) * _HOUR_S
    called = night.run(Disturbance(clock_s=by))
    return f"the clock jumps by {by / _HOUR_S:.0f} h", [called]


def lost_rows_of_runs(night: Night, draw: random.Random) -> Happened:
    """Records of what was done are lost, before the run or after it."""
    from deltalake import DeltaTable

    called = [night.run()] if draw.random() < 0.5 else []
    job = draw.choice(FLOW).name
    handle = DeltaTable(f"{night.root}/runs")
    days = sorted({row["ds"] for row in handle.to_pyarrow_table().to_pylist() if row["job"] == job})
    of = draw.choice(days)
    handle.delete(f"job = '{job}' AND ds = '{of}'")
    after = "after the run" if called else "before the run"
    return f"the rows of {job} {of} in runs are lost {after}", called


def cut_log(night: Night, draw: random.Random) -> Happened:
    """A file of a table's log is cut short."""
    called = [night.run()] if draw.random() < 0.5 else []
    files, root = night.files
    log = f"{root}/{draw.choice(_tables(night))}/_delta_log"
    logs = files.get_file_info(fs.FileSelector(log))
    paths = sorted(info.path for info in logs if info.path.endswith(".json"))
    path = paths[-1] if draw.random() < 0.5 else draw.choice(paths)
    with files.open_input_stream(path) as stream:
        whole = stream.read()
    kept = draw.choice([0, draw.randrange(len(whole))])
    with files.open_output_stream(path) as stream:
        stream.write(whole[:kept])
    short = path.removeprefix(f"{root}/")
    return f"{short} is cut to {kept} of {len(whole)} bytes", called


def _tables(night: Night) -> list[str]:
    """The tables that are there."""
    files, root = night.files
    found = files.get_file_info(fs.FileSelector(root))
    return sorted(info.base_name for info in found if info.base_name in TABLES)


def lost_data_file(night: Night, draw: random.Random) -> Happened:
    """A data file of a table is lost, or cut short."""
    from deltalake import DeltaTable

    files, root = night.files
    tables = _tables(night)
    held: list[str] = []
    while not held:
        name = draw.choice(tables)
        held = sorted(DeltaTable(f"{night.root}/{name}").file_uris())
    lost = draw.choice(held).removeprefix(night.root).lstrip("/")
    files.delete_file(f"{root}/{lost}")
    return f"{lost} is lost", []


def replaced_while_read(night: Night, draw: random.Random) -> Happened:
    """A landing file is another one while it is read; then the one that the day is made of."""
    at, most = draw.choice(_READING)
    phase = draw.choice(["before", "after"])
    path, whole = night.landing / LOG, night.folder / "whole.parquet"
    shutil.copy2(path, whole)
    rows = pq.ParquetFile(path).read()
    # Clicks on rows that are not there would be for Spark to judge.
    shown = _unclicked(night, rows)
    lost = set(draw.sample(shown, draw.randint(10, 200)))
    kept = [row not in lost for row in range(len(rows))]
    pq.write_table(rows.filter(kept), path)
    moment = Moment(at, draw.randint(1, most), phase)  # type: ignore[arg-type]
    called = night.run(Disturbance(moment=moment, replaced=(str(path), str(whole))))
    if path.stat().st_size != whole.stat().st_size:
        shutil.copyfile(whole, path)
    return f"{LOG} is replaced {phase} call {moment.nth} of {at}", [called]


def _unclicked(night: Night, rows: pa.Table) -> list[int]:
    """Numbers of the rows of impressions that nobody clicked."""
    files = (night.landing / "clicks").rglob("*.parquet")
    clicked = {one for file in files for one in pq.ParquetFile(file).read()[_ID].to_pylist()}
    return [number for number, one in enumerate(rows[_ID].to_pylist()) if one not in clicked]


def no_reports(night: Night, draw: random.Random) -> Happened:
    """The folder of reports cannot be written, for one night."""
    elsewhere = night.folder / "file"
    elsewhere.touch()
    called = night.run(Disturbance(), "--set", f"storage.reports='{elsewhere}/reports'")
    return "the folder of reports cannot be written", [called]


def full_disk(night: Night, draw: random.Random) -> Happened:
    """The disk of the warehouse is full, from some moment on."""
    free_kb = draw.choice([0, 40, draw.randint(0, 3000)])
    target = Path(night.root)
    whole = night.folder / "whole"
    target.rename(whole)
    target.mkdir()
    size = sum(_on_disk(path) for path in whole.rglob("*")) // 1024 + free_kb
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "none", str(target)]
    subprocess.run(mount, check=True)
    try:
        shutil.copytree(whole, target, dirs_exist_ok=True)
        called = night.run()
        shutil.rmtree(whole)
        shutil.copytree(target, whole)
    finally:
        subprocess.run(["umount", str(target)], check=True)
    target.rmdir()
    whole.rename(target)
    return f"the disk is full after {free_kb} KiB", [called]


def _on_disk(path: Path) -> int:
    """Bytes of whole pages, as such a disk counts."""
    page = os.sysconf("SC_PAGE_SIZE")
    return -(-path.stat().st_size // page) * page if path.is_file() else 0


def can_mount() -> bool:
    """Whether a small disk can be made here."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


def faults(*, local: bool) -> dict[str, tuple[Fault, int]]:
    """Every fault, and how often it is drawn."""
    drawn: dict[str, tuple[Fault, int]] = {
        "killed at any time": (killed_at_any_time, 4),
        "killed at a point": (killed_at_a_point, 6),
        "killed twice": (killed_while_mending, 2),
        "killed upkeep": (killed_upkeep, 1),
        "two drivers": (two_drivers, 2),
        "wrong clock": (wrong_clock, 2),
        "lost rows of runs": (lost_rows_of_runs, 2),
        "cut log": (cut_log, 3),
        "lost data file": (lost_data_file, 2),
        "replaced while read": (replaced_while_read, 3),
        "no reports": (no_reports, 1),
    }
    if local and can_mount():
        drawn["full disk"] = (full_disk, 3)
    return drawn


def names(drawn: dict[str, tuple[Fault, int]]) -> Sequence[str]:
    """Names of faults, each as often as it is drawn."""
    return [name for name, (_, weight) in drawn.items() for _ in range(weight)]

"""Plant faults one by one and see whether tests find them: ``python -m tests.mutants``."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.mutants.faults import Fault, read_faults
from tests.mutants.forked import FAILED, PASSED, load_libraries, run_tests

ROOT = Path(__file__).parents[2]
LEAST_SHARE = 0.95
FOUND, MISSED, STALE = "found", "missed", "stale"
# What a copy of the tree does without: large, or not looked at by a test.
LEFT_OUT = (
    ".git", ".venv", ".airflow", "data", "build", "dist", "*.egg-info", ".*_cache", ".hypothesis",
)  # fmt: skip

_own: dict[str, Path] = {}
"""The copy of the tree that a process plants its faults in."""


def copy_tree(folder: Path) -> Path:
    """Copy the checkout as it is, with times, so that what is compiled stays valid."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder


def _take_tree(trees: Any) -> None:
    _own["tree"] = trees.get()


def _try_in_own_tree(fault: Fault) -> tuple[str, float]:
    started = time.monotonic()
    return try_fault(fault, _own["tree"]), time.monotonic() - started


def try_fault(fault: Fault, tree: Path) -> str:
    """Plant a fault in a copy of the tree, run its tests, and take it out again."""
    path = tree / fault.file
    text, written_ns = path.read_text(encoding="utf-8"), path.stat().st_mtime_ns
    planted = fault.planted_in(text)
    if planted is None:
        return STALE
    path.write_text(planted, encoding="utf-8")
    try:
        code = run_tests(tree, fault.tests, compile_anew="@kernel" in text)
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(written_ns, written_ns))
    return {PASSED: MISSED, FAILED: FOUND}.get(code, STALE)


def try_all(faults: Sequence[Fault], trees: Sequence[Path]) -> dict[Fault, str]:
    """Try faults, as many at once as there are copies of the tree, and tell of each."""
    fork = multiprocessing.get_context("fork")
    free = fork.SimpleQueue()
    for tree in trees:
        free.put(tree)
    outcomes: dict[Fault, str] = {}
    pool = ProcessPoolExecutor(len(trees), fork, initializer=_take_tree, initargs=(free,))
    try:
        for fault, (outcome, seconds) in zip(
            faults, pool.map(_try_in_own_tree, faults), strict=True
        ):
            told = f"{outcome:<6} {seconds:5.1f} s  {fault.name:<12} {fault.file}: {fault.breaks}"
            print(told, flush=True)
            outcomes[fault] = outcome
    finally:
        pool.shutdown(cancel_futures=True)
    return outcomes


def passes_as_it_is(tree: Path, faults: Sequence[Fault]) -> bool:
    """Whether the tests of all these faults pass where none is planted."""
    tests = sorted({test for fault in faults for test in fault.tests})
    print(f"{len(tests)} files of tests without a fault:", flush=True)
    return run_tests(tree, tests, say=True) == PASSED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Plant faults one by one in a copy of the tree and run the tests beside them.",
        epilog=f"Ends with 0 if at least {LEAST_SHARE:.0%} are found and no fault is stale: its "
        "text not there exactly once, or its tests not to be run.",
        allow_abbrev=False,
    )
    made.add_argument(
        "chosen", nargs="*", metavar="NAME", help="fault (logs.3), list (logs) or file; all"
    )
    made.add_argument("--fast", action="store_true", help="only those found without a JVM")
    made.add_argument("--jobs", type=int, default=1, metavar="N", help="how many at once; 1")
    made.add_argument("--list", action="store_true", help="name them and run nothing")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Try the chosen faults and print the score."""
    arguments = parser().parse_args(argv)
    faults = [
        fault
        for fault in read_faults()
        if fault.is_chosen(arguments.chosen) and not (arguments.fast and fault.needs_jvm)
    ]
    if not faults:
        parser().error("no such fault")
    if arguments.list:
        for fault in faults:
            print(f"{fault.name:<12} {fault.file}: {fault.breaks}")
        return 0
    # A stop from outside leaves no copy behind either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    started = time.monotonic()
    load_libraries()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [copy_tree(Path(folder) / f"tree-{k}") for k in range(max(arguments.jobs, 1))]
        if not passes_as_it_is(trees[0], faults):
            print("they do not pass, so that nothing is found by them", file=sys.stderr)
            return 2
        outcomes = try_all(faults, trees)
    found = sum(outcome == FOUND for outcome in outcomes.values())
    for kind in (MISSED, STALE):
        if names := [fault.name for fault, outcome in outcomes.items() if outcome == kind]:
            print(f"{kind}: {', '.join(names)}")
    minutes = (time.monotonic() - started) / 60
    print(f"{found} of {len(faults)} found ({found / len(faults):.1%}) in {minutes:.0f} minutes")
    return int(found < LEAST_SHARE * len(faults) or STALE in outcomes.values())


if __name__ == "__main__":
    sys.exit(main())

"""Plant faults one by one and see whether tests find them: ``python -m tests.mutants``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.faults import Fault, read_faults

ROOT = Path(__file__).parents[2]
LEAST_SHARE = 0.95
LONGEST_SECONDS = 900
FOUND, MISSED, STALE = "found", "missed", "stale"
PASSED, FAILED = 0, 1
# What a copy of the tree does without: large, or not looked at by a test.
LEFT_OUT = (".git", ".venv", "data", "build", "dist", "*.egg-info", ".*_cache", ".hypothesis")


def copy_tree(folder: Path) -> Path:
    """Copy the checkout as it is, with times, so that what is compiled stays valid."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder


def run_tests(
    tree: Path, tests: Sequence[str], *, compile_anew: bool = False, say: bool = False
) -> int:
    """Run tests in a copy of the tree up to the first failure, and give pytest's exit code."""
    with tempfile.TemporaryDirectory(dir=tree.parent) as scratch:
        environment = os.environ | {
            "PYTHONPATH": str(tree),
            # Byte code is told apart by whole seconds: two faults of a file might be taken for one.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": scratch,
        }
        if compile_anew:
            # Machine code of a kernel does not know of changes in kernels of other files.
            environment["NUMBA_CACHE_DIR"] = scratch
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        try:
            done = subprocess.run(
                command,
                cwd=tree,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=not say,
                check=False,
                timeout=LONGEST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return FAILED
        return done.returncode


def try_fault(fault: Fault, tree: Path) -> str:
    """Plant a fault in a copy of the tree, run its tests, and take it out again."""
    path = tree / fault.file
    text, written = path.read_text(encoding="utf-8"), path.stat().st_mtime_ns
    planted = fault.planted_in(text)
    if planted is None:
        return STALE
    path.write_text(planted, encoding="utf-8")
    try:
        code = run_tests(tree, fault.tests, compile_anew="@kernel" in text)
    finally:
        path.write_text(text, encoding="utf-8")
        os.utime(path, ns=(written, written))
    return {PASSED: MISSED, FAILED: FOUND}.get(code, STALE)


def try_all(faults: Sequence[Fault], trees: Sequence[Path]) -> dict[Fault, str]:
    """Try faults, as many at once as there are copies of the tree, and tell of each."""
    free: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def attempt(fault: Fault) -> str:
        tree = free.get()
        try:
            started = time.monotonic()
            outcome = try_fault(fault, tree)
            seconds = time.monotonic() - started
        finally:
            free.put(tree)
        print(
            f"{outcome:<6} {seconds:5.1f} s  {fault.name:<12} {fault.file}: {fault.breaks}",
            flush=True,
        )
        return outcome

    with ThreadPoolExecutor(len(trees)) as workers:
        return dict(zip(faults, workers.map(attempt, faults), strict=True))


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
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [copy_tree(Path(folder) / f"tree-{k}") for k in range(max(arguments.jobs, 1))]
        tests = sorted({test for fault in faults for test in fault.tests})
        print(f"{len(tests)} files of tests without a fault:", flush=True)
        if run_tests(trees[0], tests, say=True) != PASSED:
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

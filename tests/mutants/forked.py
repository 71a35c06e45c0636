"""Tests in a copy of the tree, run in a fork of a process that has their libraries loaded.

Loading these takes longer than most tests do.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

LIBRARIES = (
    "pytest", "numba", "scipy.optimize", "scipy.special", "sklearn.linear_model",
    "sklearn.metrics", "pyarrow.compute", "pyarrow.dataset", "pyarrow.parquet", "deltalake",
    "duckdb", "pydantic", "rich.console", "pyspark.sql", "py4j.java_gateway",
)  # fmt: skip
OURS = {"jobs", "pipelines", "schemas", "tests", "conf"}
LONGEST_SECONDS = 900
PASSED, FAILED = 0, 1


def load_libraries() -> None:
    """Load what tests import and no fault changes; nothing of it starts a thread."""
    for name in LIBRARIES:
        importlib.import_module(name)


def run_tests(
    tree: Path, tests: Sequence[str], *, compile_anew: bool = False, say: bool = False
) -> int | None:
    """Run tests up to the first that fails, and give pytest's exit code.

    Parameters
    ----------
    compile_anew : bool
        Leave stored machine code alone: that of a kernel does not know of changes in kernels of
        other files.
    say : bool
        Let pytest say what it does.
    """
    scratch = tempfile.mkdtemp(dir=tree.parent)
    given = (tree, tests, scratch if compile_anew else None, scratch, say)
    process = multiprocessing.get_context("fork").Process(target=_test, args=given)
    process.start()
    try:
        process.join(LONGEST_SECONDS)
    finally:
        is_endless = process.is_alive()
        if is_endless and process.pid is not None:
            # It leads a session: a JVM that it has started ends with it.
            os.killpg(process.pid, signal.SIGKILL)
            process.join()
        shutil.rmtree(scratch, ignore_errors=True)
    return FAILED if is_endless else process.exitcode


def _test(
    tree: Path, tests: Sequence[str], machine_code: str | None, scratch: str, say: bool
) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if not say:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
    os.chdir(tree)
    sys.path[0] = str(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    # Byte code is told apart by whole seconds: two faults of a file might be taken for one.
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": scratch}
    tempfile.tempdir = None
    if machine_code is not None:
        from numba.core import config

        os.environ["NUMBA_CACHE_DIR"] = machine_code
        config.reload_config()
    import pytest

    quiet = ("-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
    sys.exit(int(pytest.main(["-x", *quiet, *tests])))

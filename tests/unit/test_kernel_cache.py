"""Kernels compile wherever the code lies: in an archive, and where nothing can be written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import numpy as np
from pipelines.twice import twice
print(twice(np.arange(3.0)).tolist())
"""
KERNEL = """
from pipelines.kernel import kernel
@kernel
def twice(values):
    return values * 2.0
"""


@pytest.mark.parametrize(
    ("home", "cache", "is_kept"),
    [("home", "", True), ("/proc/none", "", False), ("/proc/none", "/proc/none", False)],
)  # fmt: skip
def test_a_kernel_in_an_archive_compiles(
    tmp_path: Path, home: str, cache: str, is_kept: bool
) -> None:
    package = tmp_path / "code" / "pipelines"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "pipelines" / "kernel.py", package)
    (package / "__init__.py").touch()
    (package / "twice.py").write_text(KERNEL)
    archive = shutil.make_archive(str(tmp_path / "promoted-ctr"), "zip", tmp_path / "code")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA", "XDG"))}
    variables = {"PYTHONPATH": archive, "HOME": str(tmp_path / home)}
    variables |= {"NUMBA_CACHE_DIR": str(tmp_path / cache)} if cache else {}
    ended = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=tmp_path,
        env=kept | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "[0.0, 2.0, 4.0]\n", ended.stderr[-1000:]
    assert bool(list(tmp_path.rglob("*.nbc"))) == is_kept

"""`make package`: one folder with all that spark-submit needs on a cluster.

The code is the wheel under another name: executors import from a ``.zip`` and not from a ``.whl``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jobs.setup.environment import project_root
from jobs.setup.environment_archive import write_environment
from jobs.setup.exits import ExitCode, JobError, UsageError
from jobs.setup.jars import ensure_delta_jars, ensure_jars
from jobs.setup.s3_jars import s3_jars

CODE = "promoted-ctr.zip"
ENTRY = "promoted_ctr.py"
ENVIRONMENT = "environment.tar.gz"
SUMS = "SHA256SUMS"
BESIDE = ("submit.sh", "cluster.conf", "Dockerfile")
"""Files of conf/spark that go as they are."""


def write_package(folder: Path, *, environment: bool = True) -> None:
    """Write the folder anew; it appears when it is whole.

    Parameters
    ----------
    environment : bool
        Without it the nodes must have the packages of the lock installed.

    Raises
    ------
    UsageError
        Outside a checkout, or where something cannot be built or fetched.
    """
    root = project_root()
    lock = root / "requirements" / "runtime.lock"
    if not lock.is_file():
        raise UsageError(f"{lock} is not there: packages are made in a checkout")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".package-") as scratch:
        made = Path(scratch) / "package"
        (made / "jars").mkdir(parents=True)
        _write_code(root, made / CODE, Path(scratch) / "wheel")
        shutil.copy2(root / "jobs" / "__main__.py", made / ENTRY)
        for name in BESIDE:
            shutil.copy2(root / "conf" / "spark" / name, made / name)
        (made / "submit.sh").chmod(0o755)
        # Where the tables will lie is not known here, and 13 MB more are little beside the rest.
        for jar in [*ensure_delta_jars(), *ensure_jars(s3_jars())]:
            shutil.copy2(jar, made / "jars" / jar.name)
        if environment:
            write_environment(lock, made / ENVIRONMENT, Path(scratch) / "environment")
        _write_sums(made)
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)


def _write_code(root: Path, target: Path, scratch: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    ended = subprocess.run(
        [*pip, "--wheel-dir", str(scratch), str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(scratch.glob("*.whl"))
    if ended.returncode or len(wheels) != 1:
        raise UsageError(f"the wheel cannot be built: {ended.stderr.strip()[-300:]}")
    shutil.copy2(wheels[0], target)


def _write_sums(folder: Path) -> None:
    """As `sha256sum --check` reads them."""
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder)}\n")
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m jobs.setup.package``."""
    parser = argparse.ArgumentParser(prog="make package", description=__doc__, allow_abbrev=False)
    parser.add_argument("--into", type=Path, default=project_root() / "dist" / "package")
    parser.add_argument("--without-environment", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        write_package(arguments.into.absolute(), environment=not arguments.without_environment)
    except JobError as problem:
        print(f"promoted-ctr: {problem}", file=sys.stderr)
        return int(problem.exit_code)
    for path in sorted(p for p in arguments.into.rglob("*") if p.is_file()):
        print(f"{path.stat().st_size / 1e6:8.1f} MB  {path}")
    return int(ExitCode.DONE)


if __name__ == "__main__":
    sys.exit(main())

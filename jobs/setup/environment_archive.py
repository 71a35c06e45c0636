"""The Python environment as an archive that executors unpack: interpreter, libraries, packages.

A packed virtual environment holds a link to an interpreter that executors do not have, and the
archives of conda need conda where they are made. So the interpreter itself is copied, with the
standard library and the shared libraries that it was built with; only glibc is the executor's own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

from jobs.setup.exits import UsageError

LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages"}
"""Parts of the standard library that no job uses; packages come from the lock."""

OF_THE_CLUSTER = {"pyspark"}
"""Spark brings its own Python side: another copy could only differ from it."""

GLIBC = re.compile(r"(ld-linux|lib(c|m|dl|rt|util|pthread|resolv|nsl|anl|mvec|nss_\w+)\.so)")
"""Libraries that belong to the kernel and loader of the machine."""

LAUNCHER = """#!/bin/sh
# The interpreter of this folder, wherever it lies, with the libraries that came with it.
home=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH="$home/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "$home/bin/{name}" "$@"
"""


def write_environment(lock: Path, archive: Path, folder: Path) -> None:
    """Write the archive.

    Parameters
    ----------
    lock : Path
        Requirements with hashes.
    archive : Path
        The ``.tar.gz`` to write; the environment is its root.
    folder : Path
        An empty folder to build in.

    Raises
    ------
    UsageError
        On another system than Linux, or where a package cannot be installed.
    """
    if sys.platform != "linux":
        raise UsageError("executors run Linux: make the package on Linux, or in a Linux container")
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    _copy_interpreter(folder, name)
    _install(lock, folder / "lib" / name / "site-packages")
    python = folder / "bin" / "python"
    # Every executor would compile them again, at some 15 seconds each.
    _call([str(python), "-m", "compileall", "-q", "-j", "0", str(folder / "lib" / name)], ok=(0, 1))
    with tarfile.open(archive, "w:gz", compresslevel=3) as packed:
        packed.add(folder, ".")


def _copy_interpreter(folder: Path, name: str) -> None:
    binary = folder / "bin" / name
    binary.parent.mkdir(parents=True)
    shutil.copy2(os.path.realpath(sys.executable), binary)
    library = Path(sysconfig.get_path("stdlib"))

    def unwanted(where: str, names: list[str]) -> set[str]:
        top = LEFT_OUT if Path(where) == library else set()
        return {n for n in names if n in top or n == "__pycache__" or n.startswith("config-")}

    shutil.copytree(library, folder / "lib" / name, ignore=unwanted, symlinks=False)
    modules = sorted((folder / "lib" / name / "lib-dynload").glob("*.so"))
    for module in modules:
        if module.name.startswith("_tkinter"):
            module.unlink()
    for needed in _shared_libraries([binary, *(m for m in modules if m.exists())]):
        shutil.copy2(needed, folder / "lib" / needed.name)
    launcher = folder / "bin" / "python"
    launcher.write_text(LAUNCHER.format(name=name), encoding="utf-8")
    launcher.chmod(0o755)


def _shared_libraries(binaries: list[Path]) -> set[Path]:
    """What the loader finds for them on this machine, without the loader's own."""
    text = subprocess.run(
        ["ldd", *map(str, binaries)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = re.findall(r"^\s+(\S+) => (/\S+) ", text, flags=re.MULTILINE)
    return {Path(path) for name, path in found if not GLIBC.match(name)}


def _install(lock: Path, target: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8"))
    kept = [e for e in entries if re.split("[=<> ]", e, maxsplit=1)[0] not in OF_THE_CLUSTER]
    target.mkdir(parents=True)
    wanted = target.parent / "packages.lock"
    wanted.write_text("\n".join(kept) + "\n", encoding="utf-8")
    uv = Path(sys.executable).with_name("uv")
    pip = [str(uv), "pip"] if uv.is_file() else [sys.executable, "-m", "pip"]
    more = ["--python", sys.executable] if uv.is_file() else ["--no-build-isolation"]
    what = ["--target", str(target), "--requirement", str(wanted)]
    _call([*pip, "install", "--quiet", "--no-deps", "--require-hashes", *more, *what])
    wanted.unlink()


def _call(command: list[str], ok: tuple[int, ...] = (0,)) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode not in ok:
        last = (ended.stderr or ended.stdout).strip().splitlines()[-1:]
        raise UsageError(f"{Path(command[0]).name} {command[1]} failed: {' '.join(last)}")

"""What this machine must have: a Java for Spark, and the settings that come with the code."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jobs.setup.exits import UsageError

MINIMUM_JAVA = 17
"""Spark 4.2 starts on no older one."""

TRIED_JAVA = (MINIMUM_JAVA, 21, 25)
"""Those that the whole chain was run on: the ones with long support. Java takes away what Spark
stands on now and then."""

JAVA_ADVICE = (
    "install one (Debian/Ubuntu: apt-get install openjdk-17-jre-headless; "
    "macOS: brew install openjdk@17; conda-forge: openjdk=17) or set JAVA_HOME"
)

# `openjdk version "17.0.15"`; before Java 9 the version 8 called itself 1.8.
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def find_java() -> Path:
    """Find the `java` that Spark will start: that of JAVA_HOME, else the first on PATH.

    Raises
    ------
    UsageError
        If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    if home:
        java = Path(home) / "bin" / "java"
        if not os.access(java, os.X_OK):
            raise UsageError(f"JAVA_HOME is {home}, which has no bin/java: correct or unset it")
        return java
    on_path = shutil.which("java")
    if on_path is None:
        raise UsageError(f"no Java found, Spark needs {MINIMUM_JAVA} or newer: {JAVA_ADVICE}")
    return Path(on_path)


def check_java() -> Path:
    """Check that the `java` Spark will start is new enough, and give its path.

    Raises
    ------
    UsageError
        If there is none, it does not run, or it is none of `TRIED_JAVA`. The message is one line
        and says what to do.
    """
    java = find_java()
    try:
        # Java prints its version to stderr.
        output = subprocess.run(
            [java, "-version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        output = ""
    version = _VERSION.search(output)
    if version is None:
        # macOS ships a stub of this kind where no Java is installed.
        raise UsageError(
            f"{java} is no working Java, Spark needs {MINIMUM_JAVA} or newer: {JAVA_ADVICE}"
        )
    if int(version[1]) < MINIMUM_JAVA:
        raise UsageError(
            f"{java} is Java {version[1]}, Spark needs {MINIMUM_JAVA} or newer: {JAVA_ADVICE}"
        )
    if int(version[1]) not in TRIED_JAVA:
        raise UsageError(
            f"{java} is Java {version[1]}, on which Spark is untried: set JAVA_HOME to one of "
            f"{', '.join(map(str, TRIED_JAVA))}"
        )
    return java


def check_user() -> None:
    """Check that this process' user has a name, without which no Spark starts.

    Raises
    ------
    UsageError
        The system knows none, as in a container that is given a number.
    """
    try:
        import pwd
    except ImportError:  # no such system
        return
    user = os.getuid()
    try:
        pwd.getpwuid(user)
    except KeyError:
        raise UsageError(
            f"user id {user} has no name, and Spark's Hadoop classes do not start without one: add "
            f"it to the image (echo 'ctr:x:{user}:0::/tmp:/bin/false' >> /etc/passwd), or run as a "
            "user who has one"
        ) from None


def check_readable(words: Sequence[str]) -> None:
    """Check that the locale could read the arguments.

    Raises
    ------
    UsageError
    """
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"the locale cannot read the argument {word!a}: set LC_ALL=C.UTF-8 or PYTHONUTF8=1"
            ) from None


def project_root() -> Path:
    """Give the directory (or archive) that holds `jobs`, `pipelines`, `schemas` and `conf`."""
    return Path(__file__).resolve().parents[2]


@cache
def conf_directory() -> Path:
    """Give the directory of the settings that come with the code.

    It lies beside `jobs` in a checkout and in an installed wheel alike. Code that runs out of an
    archive (`--py-files`) has it unpacked into a temporary directory, once a process.

    Raises
    ------
    UsageError
        If the code was packed without its settings, or as a wheel.
    """
    root = project_root()
    if root.suffix == ".whl":
        raise UsageError(
            f"{root.name} is a wheel: Spark's executors import nothing from it; give --py-files "
            "the promoted-ctr.zip that `make package` makes"
        )
    if root.is_file() and zipfile.is_zipfile(root):
        root = _unpack_conf(root)
    conf = root / "conf"
    if not (conf / "base").is_dir():
        raise UsageError(f"{conf / 'base'} is not there: install the project again")
    return conf


def _unpack_conf(archive: Path) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="promoted-ctr-conf-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(directory, [n for n in packed.namelist() if n.startswith("conf/")])
    return directory


if __name__ == "__main__":
    try:
        check_java()
    except UsageError as error:
        print(f"promoted-ctr: {error}", file=sys.stderr)
        sys.exit(error.exit_code)

"""The Java archives of Delta Lake: fetched once, checked by SHA-256, kept outside the checkout.

They are fetched here and not by `spark.jars.packages`, which checks no SHA-256 and brings 33
archives (87 MB) where these seven (13 MB) are enough.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from jobs.setup.exits import UsageError

TIMEOUT_SEC = 60
"""Longest silence of the repository; the largest archive has 10 MB."""


@dataclass(frozen=True)
class Jar:
    """One archive in the Maven layout."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file, here and in the repository."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Path below the root of a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


# Delta 4.4.0 is compiled against exactly Spark 4.2.0: raise both together (setup.cfg).
DELTA_JARS = (
    Jar(
        "io.delta",
        "delta-spark_4.2_2.13",
        "4.4.0",
        "27d4fd8b1f879535c573ed1c718177d6a27f24d3e626ba02e216369725721ead",
    ),
    Jar(
        "io.delta",
        "delta-storage",
        "4.4.0",
        "c46735481fa8e326b0957be02b4420cbcab4b325bb08009b7f2045a95133f1cc",
    ),
    Jar(
        "io.delta",
        "delta-kernel-api",
        "4.4.0",
        "ee9b5a14ac3b7efdff4d61a58478fe8eb0e5a3fbca43889dca7290795fe79a11",
    ),
    Jar(
        "io.delta",
        "delta-kernel-defaults",
        "4.4.0",
        "225c975199e4718b38ee5b7e6da7f19e9585024262b2cec2656b32151a856b0b",
    ),
    Jar(
        "io.delta",
        "delta-kernel-unitycatalog",
        "4.4.0",
        "cea22dfb4ac562b3cd27bf652697750e8336009d73fb06631363aaaad5345ffa",
    ),
    Jar(
        "io.unitycatalog",
        "unitycatalog-client",
        "0.6.0",
        "48257499a86b801a3e2372cec55ac226ca1c1c7eabe5c118e7302f29a1fdbc19",
    ),
    Jar(
        "io.unitycatalog",
        "unitycatalog-hadoop",
        "0.6.0",
        "c47b63c961c87102b9e1d63809a0915ba4c86b7652f57c8d39ca3a05b441a150",
    ),
)


def default_directory() -> Path:
    """Give the directory of the archives: below PROMOTED_CTR_HOME, else the user's cache."""
    home = os.environ.get("PROMOTED_CTR_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache" / "promoted-ctr").absolute() / "jars"
    except RuntimeError:
        raise UsageError(
            "this user has no home: set PROMOTED_CTR_HOME to a directory that it can write"
        ) from None


def ensure_delta_jars(directory: Path | None = None) -> list[Path]:
    """Give the local Delta archives, as of `ensure_jars`."""
    return ensure_jars(DELTA_JARS, directory)


def ensure_jars(jars: Sequence[Jar], directory: Path | None = None) -> list[Path]:
    """Give local archives, each verified; fetch those that are missing or spoilt.

    An archive is read and hashed again only if its size or modification time has changed since
    it was last verified, so that a warm start costs milliseconds.

    Parameters
    ----------
    jars : sequence of Jar
    directory : Path, optional
        Where they are kept; by default :func:`default_directory`.

    Returns
    -------
    list of Path
        Absolute paths, in the order of `jars`.

    Raises
    ------
    UsageError
        If an archive is not there and cannot be fetched, or what was fetched is not the archive.
    """
    directory = (directory or default_directory()).absolute()
    stamp = directory / "verified.json"
    verified = _read_stamp(stamp)
    paths = []
    current = {}
    for jar in jars:
        path = directory / jar.file_name
        if not path.is_file() or not (
            verified.get(path.name) == _identity(path, jar)
            or hashlib.sha256(path.read_bytes()).hexdigest() == jar.sha256
        ):
            _fetch(jar, path)
        current[path.name] = _identity(path, jar)
        paths.append(path)
    if not current.items() <= verified.items():
        # A read-only directory, filled by somebody else, only costs the hashing each time.
        with suppress(OSError):
            _write_whole(stamp, json.dumps(verified | current, indent=1).encode())
    return paths


def spark_repository() -> str:
    """Give the Maven repository that the installed Spark itself would ask, as its code names it.

    Raises
    ------
    UsageError
        If Spark's code does not name one.
    """
    spec = importlib.util.find_spec("pyspark")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for archive in sorted(
        a for f in folders for a in Path(f).glob("jars/spark-common-utils_*.jar")
    ):
        with zipfile.ZipFile(archive) as packed, suppress(KeyError):
            code = packed.read("org/apache/spark/util/MavenUtils$.class")
            address = re.search(rb"https://[\w./-]+", code)
            if address:
                return address[0].decode()
    raise UsageError("set DEFAULT_ARTIFACT_REPOSITORY to a Maven repository, for Delta's archives")


def _identity(path: Path, jar: Jar) -> list[int | str]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, jar.sha256]


def _read_stamp(stamp: Path) -> dict[str, list[int | str]]:
    try:
        content = json.loads(stamp.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _fetch(jar: Jar, path: Path) -> None:
    repository = os.environ.get("DEFAULT_ARTIFACT_REPOSITORY") or spark_repository()
    url = f"{repository.rstrip('/')}/{jar.path}"
    shown = re.sub("//[^/]*@", "//***@", url)  # a mirror's address may hold a password
    advice = (
        f"set DEFAULT_ARTIFACT_REPOSITORY to a mirror that can be reached, "
        f"or put the file into {path.parent}"
    )
    try:
        # Any scheme will do, `file:` for a mirror on disk too: what comes is checked.
        with urllib.request.urlopen(url, timeout=TIMEOUT_SEC) as response:  # noqa: S310
            content = response.read()
    except (OSError, HTTPException, ValueError) as error:
        raise UsageError(f"cannot fetch {shown} ({_in_one_line(error)}): {advice}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != jar.sha256:
        raise UsageError(
            f"{shown} is not the expected archive (SHA-256 {digest[:16]}..., "
            f"not {jar.sha256[:16]}...): {advice}"
        )
    try:
        _write_whole(path, content)
    except OSError as error:
        raise UsageError(
            f"cannot write {path} ({error.strerror}): set PROMOTED_CTR_HOME to a writable directory"
        ) from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "reason", None) or error).split()) or type(error).__name__


def _write_whole(path: Path, content: bytes) -> None:
    """Write so that a reader, or another writer of the same, sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # mkstemp makes files private; a shared cache is to be read by all.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    try:
        ensure_delta_jars()
    except UsageError as problem:
        print(f"promoted-ctr: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)

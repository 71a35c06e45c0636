"""What `make package` makes, without Spark."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobs.setup import package
from jobs.setup.config_layers import load_config
from jobs.setup.environment import conf_directory
from jobs.setup.environment_archive import GLIBC, write_environment
from jobs.setup.exits import UsageError
from jobs.setup.jars import DELTA_JARS, Jar
from jobs.setup.session import read_properties, session_settings

WITHIN = """
import ctypes, lzma, sqlite3, ssl, sys, zlib
files = {getattr(m, "__file__", None) or "" for m in sys.modules.values()}
files |= {"/" + line.partition("/")[2].strip() for line in open("/proc/self/maps") if "/" in line}
foreign = sorted(file for file in files if not file.startswith(sys.prefix))
print(sys.prefix)
print("\\n".join(file for file in foreign if ".so" in file))
print(sum(file.endswith(".py") for file in foreign))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="packages are made on Linux")
def test_the_interpreter_runs_where_it_is_unpacked(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    # pyspark is the cluster's own: were it wanted, an unknown version could not be installed.
    lock.write_text("pyspark==0.0.0 \\\n    --hash=sha256:00\n")
    write_environment(lock, tmp_path / "environment.tar.gz", tmp_path / "made")
    moved = tmp_path / "anywhere" / "else"
    with tarfile.open(tmp_path / "environment.tar.gz") as packed:
        packed.extractall(moved, filter="tar")
    (tmp_path / "made").rename(tmp_path / "gone")
    ended = subprocess.run(
        [moved / "bin" / "python", "-c", WITHIN],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    prefix, *libraries, foreign = ended.stdout.splitlines()
    assert (prefix, foreign) == (str(moved), "0"), ended.stderr
    # Only the loader and glibc are the machine's own.
    assert [path for path in libraries if not GLIBC.match(Path(path).name)] == []


def test_no_package_is_made_elsewhere_than_on_linux(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="make the package on Linux"):
        write_environment(tmp_path / "lock", tmp_path / "archive", tmp_path / "made")


def test_memory_is_said_where_it_has_effect() -> None:
    config = load_config(env="prod", environment={})
    assert "spark.driver.memory" in session_settings(config, submitted=False)
    # The JVM of a submitted driver runs already.
    assert "spark.driver.memory" not in session_settings(config, submitted=True)
    cluster = read_properties(conf_directory() / "spark" / "cluster.conf")
    assert cluster["spark.driver.memory"] == "8g"
    assert cluster["spark.executor.memoryOverhead"] == "2g"


def test_the_package_brings_what_reads_tables_and_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def given(jars: Sequence[Jar]) -> list[Path]:
        files = [tmp_path / jar.file_name for jar in jars]
        for file in files:
            file.touch()
        return files

    monkeypatch.setattr(package, "ensure_delta_jars", lambda: given(DELTA_JARS))
    monkeypatch.setattr(package, "ensure_jars", given)
    monkeypatch.setattr(package, "_write_code", lambda root, target, scratch: target.touch())
    package.write_package(tmp_path / "package", environment=False)
    names = {path.name for path in (tmp_path / "package" / "jars").iterdir()}
    assert {jar.file_name for jar in DELTA_JARS} < names
    assert "hadoop-aws-3.5.0.jar" in names
    sums = (tmp_path / "package" / package.SUMS).read_text()
    assert all(f"jars/{name}\n" in sums for name in names)

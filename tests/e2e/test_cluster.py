"""What `make package` makes, on a standalone cluster of two workers, changes no bit."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from jobs import FLOW
from jobs.setup.jars import DELTA_JARS
from jobs.setup.package import SUMS, write_package
from jobs.setup.s3_jars import s3_jars
from tests.e2e.conftest import DAYS
from tests.support.cluster import QUICK, bare_environment, standalone_cluster
from tests.support.world import Warehouse, day

LAST = day(DAYS)
# A driver that calls the planner and then one job after the other, as each file does when it is
# submitted: to start a driver and to compile the kernels on executors takes a minute each time.
EVERYTHING = """
import importlib, sys
from jobs import FLOW
from jobs.__main__ import main
from jobs.setup.exits import leave
places = sys.argv[3:]
calls = [(main, ["run", *places])]
for job in FLOW:
    made = importlib.import_module(f"jobs.{job.name}").main
    calls.append((made, [*sys.argv[1:3], "--force", *places]))
for call, words in calls:
    code = call(words)
    if code:
        print(f"{words} of {call.__module__} ended with {code}", file=sys.stderr)
        leave(code)
leave(0)
"""


@dataclass(frozen=True)
class Cluster:
    """A master, and the package that is submitted to it."""

    master: str
    package: Path
    environment: dict[str, str]

    def submit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``submit.sh``, from a folder that is none of ours."""
        options = ["--master", self.master, "--driver-memory", "1g", "--executor-memory", "512m"]
        options += ["--driver-java-options", QUICK]
        options += ["--conf", f"spark.executor.extraJavaOptions={QUICK}"]
        return subprocess.run(
            [str(self.package / "submit.sh"), *options, "--", *words, "--log-format", "text"],
            cwd="/",
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the packages of the lock and not the project."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = Path(pytest.__file__).parents[1]
    (next(folder.glob("lib/*/site-packages")) / "packages.pth").write_text(f"{packages}\n")
    made = folder / "bin" / "python"
    tried = subprocess.run(
        [made, "-c", "import numba, jobs"],
        cwd="/",
        env=bare_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No module named 'jobs'" in tried.stderr
    return made


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package but for the environment, which `python` stands for."""
    folder = tmp_path_factory.mktemp("dist") / "package"
    write_package(folder, environment=False)
    return folder


@pytest.fixture(scope="module")
def cluster(
    package: Path, python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two workers that know the project by what is submitted only."""
    folder = tmp_path_factory.mktemp("cluster")
    environment = bare_environment(PYSPARK_PYTHON=str(python), PYSPARK_DRIVER_PYTHON=str(python))
    # Compiled kernels of the driver, which the submissions share.
    environment["XDG_CACHE_HOME"] = str(folder / "cache")
    with standalone_cluster(folder) as master:
        yield Cluster(master, package, environment)


def test_the_sums_are_those_of_the_files(package: Path) -> None:
    told = dict(reversed(line.split("  ")) for line in (package / SUMS).read_text().splitlines())
    files = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert set(told) == files - {SUMS}
    assert sum(name.endswith(".jar") for name in told) == len(DELTA_JARS) + len(s3_jars())
    for name, digest in told.items():
        assert hashlib.sha256((package / name).read_bytes()).hexdigest() == digest


@pytest.mark.slow
def test_the_planner_and_every_job_on_a_cluster_make_the_same_bits(
    cluster: Cluster, made: Warehouse, tmp_path: Path
) -> None:
    there = Warehouse(tmp_path / "warehouse", made.landing)
    entry = cluster.package / "promoted_ctr.py"
    whole = entry.read_text()
    try:
        entry.write_text(EVERYTHING)
        ended = cluster.submit("--date", str(LAST), *there.places)
    finally:
        entry.write_text(whole)
    assert ended.returncode == 0, ended.stderr[-2000:]
    # The last day is what the jobs made, each by itself; those before are the planner's.
    for of in (day(DAYS - 1), LAST):
        assert_same(made, there, of)
    runs = there.tables.read_arrow("runs").to_pylist()
    times = Counter(r["job"] for r in runs if r["ds"] == LAST and r["status"] == "done")
    assert times == {job.name: 2 for job in FLOW}

    # And by the entry that is shipped: what it plans is that nothing is left to be done.
    ended = cluster.submit("run", "--dry-run", *there.places)
    assert (ended.returncode, "nothing to do" in ended.stdout) == (0, True), ended


def test_a_wheel_is_refused_in_one_line(package: Path, python: Path, tmp_path: Path) -> None:
    wheel = tmp_path / "promoted_ctr-0.1.0-py3-none-any.whl"
    wheel.write_bytes((package / "promoted-ctr.zip").read_bytes())
    ended = subprocess.run(
        [python, "-m", "jobs", "config"],
        cwd="/",
        # As spark-submit hands --py-files to the driver.
        env=bare_environment(PYTHONPATH=str(wheel)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "promoted-ctr.zip that `make package` makes" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def assert_same(one: Warehouse, other: Warehouse, of: date) -> None:
    """Every table that a job writes has the same rows for a day."""

    def rows(warehouse: Warehouse, table: str) -> list[str]:
        return warehouse.rows(table, of, without=["run_id"] if table == "quarantine" else [])

    written = [table for job in FLOW for table in job.writes]
    assert [name for name in written if rows(one, name) != rows(other, name)] == [], of

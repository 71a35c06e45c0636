"""A standalone Spark cluster on loopback: a master and workers in processes of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyspark

SPARK_HOME = Path(pyspark.__file__).parent
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def bare_environment(**more: str) -> dict[str, str]:
    """The environment without what would point to this checkout or its Spark."""
    told = ("PYTHONPATH", "SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if name not in told}
    return kept | {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1"} | more


@contextmanager
def standalone_cluster(folder: Path, workers: int = 2) -> Iterator[str]:
    """A master and its workers, one core each, as long as the context lasts.

    Yields
    ------
    str
        The master's address.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"spark://127.0.0.1:{port}"
    master = ("Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    worker = (
        "Worker",
        "--host",
        "127.0.0.1",
        "--webui-port",
        "0",
        "--cores",
        "1",
        "--memory",
        "1g",
    )
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder / "master", *master))
        _until(lambda: _listens(port))
        for number in range(workers):
            work = folder / f"worker-{number}"
            stack.enter_context(_daemon(work, *worker, "--work-dir", str(work), address))
        log = folder / "master" / "log"
        _until(lambda: log.read_text().count("Registering worker") == workers)
        yield address


@contextmanager
def _daemon(folder: Path, role: str, *words: str) -> Iterator[None]:
    folder.mkdir(parents=True)
    environment = bare_environment(
        SPARK_MASTER_OPTS="-Dspark.master.rest.enabled=false", SPARK_DAEMON_JAVA_OPTS=QUICK
    )
    starter = str(SPARK_HOME / "bin" / "spark-class")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [starter, f"org.apache.spark.deploy.{role.lower()}.{role}", *words],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _until(holds, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the cluster did not start"
        time.sleep(0.1)

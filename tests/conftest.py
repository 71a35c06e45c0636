"""Fixtures of all tests. The Spark session is made by the first test that asks for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from jobs.setup.config import Config
from jobs.setup.config_layers import load_config
from jobs.setup.session import start_session
from jobs.setup.stores import open_store
from jobs.storage.tables import Tables
from tests.support.object_store import ObjectStore, object_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_SETTINGS = {
    "spark.sql.shuffle.partitions": "2",
    "spark.driver.memory": "1g",
    "spark.ui.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "2",
}

# Tests have small days: where nothing else is said, Spark makes them all the same.
os.environ.setdefault("PROMOTED_CTR__SPARK__SMALL_ROWS", "0")

# Its tests share the tables of one run, which take a minute to be made.
TOGETHER = "tests/e2e/"


class ByFile(LoadFileScheduling):
    """Gives each process whole files, and one folder to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER if nodeid.startswith(TOGETHER) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Take the order above where tests run in several processes."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def config() -> Config:
    """The base configuration, whatever the environment of the tests says."""
    return load_config(environment={})


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A server of S3, started by the first test that asks for one."""
    with object_store(tmp_path_factory.mktemp("store")) as started:
        yield started


@pytest.fixture
def reached(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The server, and an environment that reaches it."""
    for name, value in {**store.options, **store.credentials}.items():
        monkeypatch.setenv(name, value)
    open_store.cache_clear()
    return store


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one session of all Spark tests, set up as the jobs set theirs up."""
    folder = tmp_path_factory.mktemp("spark")
    settings = SPARK_SETTINGS | {
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
    }
    # Not the fixture: a test module may have a `config` of its own.
    config = load_config(environment={})
    own = config.spark.model_copy(update={"master": "local[2]", "settings": settings})
    session = start_session(config.model_copy(update={"spark": own}), "tests")
    yield session
    session.stop()


@pytest.fixture
def tables(tmp_path: Path, request: pytest.FixtureRequest) -> Tables:
    """Tables in a directory of their own; Spark starts only if a test reads by it."""
    return Tables(str(tmp_path / "tables"), lambda: request.getfixturevalue("spark"))

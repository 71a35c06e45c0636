"""One tiny marketplace, dirty, and the tables that one undisturbed run makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.world import Called, Warehouse, World, tiny

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = 7
DIRTY = 2


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Seven days, with two rows of every kind of dirt in each log of each day."""
    return World.make(tmp_path_factory.mktemp("world"), tiny(DAYS, dirty_rows_per_kind=DIRTY))


@pytest.fixture(scope="session")
def first_run(
    world: World, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Warehouse, Called]:
    """`run` on an empty warehouse, and what it said."""
    made = Warehouse(tmp_path_factory.mktemp("first") / "warehouse", world.landing)
    return made, made.call("run", "--log-format", "text")


@pytest.fixture(scope="session")
def made(first_run: tuple[Warehouse, Called]) -> Warehouse:
    """The warehouse of an undisturbed run. Not to be changed: copy it."""
    warehouse, called = first_run
    assert called.code == 0, called
    return warehouse


@pytest.fixture
def copied(made: Warehouse, world: World, tmp_path: Path) -> Warehouse:
    """A copy of warehouse and landing directory, to be changed."""
    return made.copy(tmp_path / "warehouse", world.copy(tmp_path / "landing"))

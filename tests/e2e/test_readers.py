"""Other engines read the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import polars
import pytest
from deltalake import DeltaTable

from schemas.catalog import TABLES
from tests.support.world import Warehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# An undisturbed run has nothing to alert anybody to.
WRITTEN = sorted(set(TABLES) - {"alerts"})


@pytest.mark.parametrize("name", WRITTEN)
def test_delta_rs_reads_a_table_that_asks_for_no_reader_feature(name: str, made: Warehouse) -> None:
    table = DeltaTable(made.tables.path(name))
    assert table.to_pyarrow_table().column_names == list(TABLES[name].column_names)
    protocol = table.protocol()
    assert protocol.min_reader_version == 1
    # Version 3 brought CHECK constraints.
    assert protocol.min_writer_version <= 3
    assert not protocol.reader_features
    assert not protocol.writer_features
    kept = {
        key.removeprefix("delta.constraints.")
        for key in table.metadata().configuration
        if key.startswith("delta.constraints.")
    }
    # delta-rs words the conditions in its own way.
    assert kept == set(TABLES[name].constraints)


@pytest.mark.parametrize("name", ["listing_scores", "current_scores"])
def test_spark_duckdb_and_polars_read_the_scores(
    name: str, made: Warehouse, spark: SparkSession
) -> None:
    path = made.tables.path(name)
    scores = DeltaTable(path).to_pyarrow_dataset()
    query = "SELECT count(*), sum(p_click) FROM scores"
    rows, total = duckdb.connect().register("scores", scores).execute(query).fetchone()
    frame = polars.read_delta(path)
    assert rows == len(frame) == spark.read.format("delta").load(path).count() > 0
    assert total == pytest.approx(frame["p_click"].sum())

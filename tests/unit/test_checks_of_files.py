"""Whoever writes a file of a table, task or driver: its rows obey the CHECKs of the table."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, Schema
from pyspark.sql import types as T

from jobs.storage.constraints import check_rows
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_file_writer import DayFileWriter
from jobs.storage.tables import Tables
from jobs.storage.task_writes import write_units
from schemas.catalog import TABLES
from schemas.table import Column, Table
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY

CHECKS = [
    pytest.param(name, check, id=f"{name}.{check}")
    for name, table in sorted(TABLES.items())
    for check in table.constraints
]
PLAIN = {
    pa.string(): "x",
    pa.int64(): 1,
    pa.int32(): 1,
    pa.float64(): 0.5,
    pa.bool_(): False,
    pa.date32(): DAY,
    pa.timestamp("us", "UTC"): datetime(2026, 2, 10, tzinfo=UTC),
    pa.binary(): b"",
}
NUMBERS = (0, 1, -1, 2)
CANDIDATES = {
    pa.string(): ("x", "search", "impressions", "PASS", "open", "page"),
    pa.int64(): NUMBERS,
    pa.int32(): NUMBERS,
    pa.float64(): (0.5, 0.0, 1.0, 1.5, -0.5),
    pa.date32(): (DAY, DAY + timedelta(days=1)),
}


def a_row(name, values):
    """A row of any table; what is not told is missing where it may be."""
    schema = arrow_schema(name)
    row = {f.name: None if f.nullable else PLAIN.get(f.type, []) for f in schema}
    return pa.Table.from_pylist([row | values], schema=schema)


def good_and_breaking(name, check):
    """A row that keeps all CHECKs of a table, and one that breaks this one only, by DuckDB."""
    constraints = TABLES[name].constraints
    told = " ".join(constraints.values())
    fields = [f for f in arrow_schema(name) if re.search(rf"\b{f.name}\b", told)]
    values = product(*(CANDIDATES.get(f.type, ([],)) for f in fields))
    rows = [a_row(name, dict(zip((f.name for f in fields), v, strict=True))) for v in values]
    kept = [
        {k for k, condition in constraints.items() if len(duckdb.from_arrow(row).filter(condition))}
        for row in rows
    ]
    every = set(constraints)
    return rows[kept.index(every)], rows[kept.index(every - {check})]


@pytest.fixture
def tables(tmp_path):
    return Tables(str(tmp_path), LocalSpark)


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_the_driver_writes_no_row_that_breaks_a_check(tables, name, check):
    good, breaking = good_and_breaking(name, check)
    tables.write_arrow(name, good, None)
    with pytest.raises(Exception, match="1 rows failed validation check"):
        tables.write_arrow(name, breaking, None)
    assert tables.read_arrow(name).equals(good)


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_a_task_writes_no_row_that_breaks_a_check(tables, name, check):
    good, breaking = good_and_breaking(name, check)
    write = DayFileWriter(tables.address(name), name, arrow_schema(name))
    assert sum(batch.num_rows for batch in write(iter(good.to_batches()))) == 1
    with pytest.raises(ValueError, match=check):
        list(write(iter([*good.to_batches(), *breaking.to_batches()])))


def test_a_step_whose_rows_break_a_check_leaves_its_days_as_they_were(tables):
    good, breaking = good_and_breaking("listing_scores", "p_inside")
    write_units(tables, "listing_scores", 1, lambda number: iter(good.to_batches()), [DAY])
    with pytest.raises(ValueError, match="p_inside"):
        write_units(tables, "listing_scores", 1, lambda number: iter(breaking.to_batches()), [DAY])
    assert tables.read_arrow("listing_scores").to_pylist() == good.to_pylist()


def test_a_table_whose_making_was_cut_short_gets_its_checks(tables):
    name = "listing_scores"
    good, breaking = good_and_breaking(name, "p_inside")
    columns = Schema.from_json(TABLES[name].struct.json())
    DeltaTable.create(tables.path(name), columns, partition_by=["ds"])
    with pytest.raises(Exception, match="1 rows failed validation check"):
        tables.write_arrow(name, breaking, [DAY])
    tables.write_arrow(name, good, [DAY])


def test_a_check_that_is_neither_true_nor_false_does_not_hold():
    x = Column("x", T.DoubleType(), "a number", nullable=True)
    declared = Table("t", "logs", "number", (x,), ("x",), {"positive": "x > 0"}, ())
    check_rows(declared, pa.table({"x": [1.0]}))
    with pytest.raises(ValueError, match="a row breaks positive"):
        check_rows(declared, pa.table({"x": [1.0, None]}))

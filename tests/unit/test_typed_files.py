"""Which landing files go on as they are, and which are left to Spark."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing.typed_files import DayOfFiles, TypedFile, typed_file
from jobs.storage.contracts import arrow_schema
from schemas.logs import LOGS
from tests.support.rows import arrow_rows

COLUMNS = [column.name for column in LOGS["impressions"]]
REQUIRED = frozenset(column.name for column in LOGS["impressions"] if not column.nullable)
DECLARED = pa.schema([arrow_schema("impressions").field(name) for name in COLUMNS])
ROWS = arrow_rows("impressions", [{}, {"impression_id": "i2"}]).select(COLUMNS)


def looked_at(path: Path, rows: pa.Table) -> TypedFile | None:
    pq.write_table(rows, path)
    return typed_file(str(path), DECLARED, REQUIRED)


def with_times(kind: pa.DataType) -> pa.Table:
    return ROWS.set_column(1, "ts", ROWS["ts"].cast(kind))


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        ROWS.drop_columns(["country"]),
        with_times(pa.timestamp("ms", "UTC")),
        with_times(pa.timestamp("us", "Europe/Berlin")),
        ROWS.set_column(2, "surface", ROWS["surface"].dictionary_encode()),
    ],
    ids=["canonical", "without what may be absent", "milliseconds", "of a zone", "dictionary"],
)
def test_a_file_of_the_canonical_columns_is_taken_with_its_rows(
    tmp_path: Path, rows: pa.Table
) -> None:
    path = tmp_path / "part.parquet"
    assert looked_at(path, rows) == TypedFile(str(path), 2)


@pytest.mark.parametrize(
    "rows",
    [
        with_times(pa.timestamp("us")),
        with_times(pa.string()),
        ROWS.drop_columns(["listing_id"]),
        ROWS.append_column("more", ROWS["query"]),
        ROWS.set_column(7, "position", ROWS["position"].cast(pa.int64())),
    ],
    ids=["local times", "times as text", "without a key", "an unknown column", "wide integers"],
)
def test_a_file_of_other_columns_or_of_local_times_is_left_to_spark(
    tmp_path: Path, rows: pa.Table
) -> None:
    assert looked_at(tmp_path / "part.parquet", rows) is None


def test_a_file_that_is_no_parquet_is_left_to_spark(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    path.write_text("impression_id,ts\n")
    assert typed_file(str(path), DECLARED, REQUIRED) is None


def test_the_one_row_that_is_not_certainly_good_is_put_aside_for_spark(tmp_path: Path) -> None:
    path, aside = tmp_path / "part.parquet", tmp_path / "aside" / "rows.parquet"
    rows = arrow_rows("impressions", [{}, {"impression_id": "i2", "position": 0}]).select(COLUMNS)
    pq.write_table(rows, path)
    day = rows["ts"][0].as_py().date()
    files = DayOfFiles(
        "impressions", day, [TypedFile(str(path), 2)], DECLARED, str(aside), 4096, {}
    )
    good = pa.Table.from_batches(files.good_rows())
    assert good["impression_id"].to_pylist() == rows["impression_id"].to_pylist()[:1]
    assert pq.read_table(aside)["impression_id"].to_pylist() == ["i2"]

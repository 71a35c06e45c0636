"""Which landing files go on as they are, and which are left to Spark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.landing.typed_days import Aside, typed_days, typed_rows
from jobs.landing.typed_files import TypedFile, TypedRows, typed_file
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_files import DataFile
from jobs.storage.slices import Slice
from schemas.logs import LOGS
from tests.support.ingesting import make_step
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY, arrow_rows

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
        with_times(pa.timestamp("ns", "UTC")),
        with_times(pa.timestamp("us")),
        ROWS.append_column("more", pa.array([0, 1], pa.time64("ns"))),
        ROWS.set_column(2, "surface", ROWS["surface"].dictionary_encode()),
    ],
    ids=["canonical", "without what may be absent", "milliseconds", "of a zone", "nanoseconds",
         "without a zone", "with an unknown column", "dictionary"],
)  # fmt: skip
def test_a_file_of_the_canonical_columns_is_taken_with_its_rows(
    tmp_path: Path, rows: pa.Table
) -> None:
    path = tmp_path / "part.parquet"
    assert looked_at(path, rows) == TypedFile(str(path), 2)


@pytest.mark.parametrize(
    "rows",
    [
        with_times(pa.string()),
        ROWS.drop_columns(["listing_id"]),
        ROWS.append_column("Query", ROWS["query"]),
        ROWS.set_column(7, "position", ROWS["position"].cast(pa.int64())),
    ],
    ids=["times as text", "without a key", "a name in two spellings", "wide integers"],
)
def test_a_file_of_other_types_or_names_is_left_to_spark(tmp_path: Path, rows: pa.Table) -> None:
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
    landed = Slice((DataFile(day, str(path), 2),))
    files = TypedRows("impressions", landed, DECLARED, str(aside), 4096, {})
    good = pa.Table.from_batches(files.good_rows())
    assert good["impression_id"].to_pylist() == rows["impression_id"].to_pylist()[:1]
    assert pq.read_table(aside)["impression_id"].to_pylist() == ["i2"]


def read(path: Path, log: str, rows: pa.Table) -> list[dict[str, object]]:
    """The good rows of a file that need not have the canonical types."""
    pq.write_table(rows, path)
    names = [column.name for column in LOGS[log]]
    declared = pa.schema([arrow_schema(log).field(name) for name in names])
    aside = str(path.parent / "aside")
    landed = Slice((DataFile(DAY, str(path), len(rows)),))
    files = TypedRows(log, landed, declared, aside, 4096, {})
    made: list[dict[str, object]] = pa.Table.from_batches(files.good_rows()).to_pylist()
    return made


def test_nanoseconds_are_cut_to_the_microsecond_before(tmp_path: Path) -> None:
    noon = int(ROWS["ts"].cast(pa.int64())[0].as_py()) * 1000
    for zone in ("UTC", "Europe/Berlin", None):
        times = pa.array([noon + 999, noon + 1000], pa.timestamp("ns", zone))
        rows = read(tmp_path / "a.parquet", "impressions", ROWS.set_column(1, "ts", times))
        at = [int(row["ts"].timestamp() * 1_000_000) for row in rows]  # type: ignore[attr-defined]
        assert at == [noon // 1000, noon // 1000 + 1]


def test_half_floats_and_an_empty_id_are_read_as_what_they_say(tmp_path: Path) -> None:
    listing = arrow_rows("listings", [{}]).drop_columns(["ds"])
    vector = pa.array([[np.float16(0.5), np.float16(-0.25)]], pa.list_(pa.float16()))
    place = listing.schema.get_field_index("image_vector")
    listing = listing.set_column(place, "image_vector", vector)
    (made,) = read(tmp_path / "listings.parquet", "listings", listing)
    assert made["image_vector"] == [0.5, -0.25]
    nobody = ROWS.set_column(4, "user_id", pa.array(["", "u1"]))
    rows = read(tmp_path / "impressions.parquet", "impressions", nobody)
    assert [row["user_id"] for row in rows] == [None, "u1"]


def in_slices(tmp_path: Path, ids: list[str]) -> list[TypedRows]:
    """The slices, of 20 rows about, of a day of impressions with these ids."""
    rows = arrow_rows("impressions", [{"impression_id": one} for one in ids]).select(COLUMNS)
    folder = tmp_path / "landing" / "impressions" / f"ds={DAY}"
    folder.mkdir(parents=True)
    pq.write_table(rows, folder / "a.parquet", row_group_size=10)
    step = make_step(
        LocalSpark(), tmp_path / "landing", tmp_path / "warehouse", [DAY], part_rows=20
    )
    typed = typed_days(step.source, "impressions", [DAY], max_bytes=2**26)
    return typed_rows(step, "impressions", typed, Aside.of(step.tables))


def test_ids_that_are_repeated_across_slices_are_told_to_each(tmp_path: Path) -> None:
    ids = [f"i{k}" for k in range(100)]
    slices = in_slices(tmp_path, [*ids[:95], "i3", "i3", "i50", "i95", "i96"])
    assert len(slices) == 5
    good = pa.concat_tables(pa.Table.from_batches(one.good_rows()) for one in slices)
    assert sorted(good["impression_id"].to_pylist()) == sorted({*ids[:97]} - {"i3", "i50"})


def test_a_day_with_too_many_repeated_ids_is_left_to_spark(tmp_path: Path) -> None:
    assert in_slices(tmp_path, [f"i{k % 50}" for k in range(100)]) == []


def test_ids_of_a_day_of_one_slice_are_not_moved(tmp_path: Path) -> None:
    (only,) = in_slices(tmp_path, ["a", "b", "a"])
    assert only.repeated is None
    assert pa.Table.from_batches(only.good_rows())["impression_id"].to_pylist() == ["b"]

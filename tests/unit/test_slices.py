"""Slices of a day: every row in one of them, however its files are cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.storage.contracts import arrow_schema
from jobs.storage.day_file_writer import PART
from jobs.storage.day_files import DataFile
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import slices
from jobs.storage.tables import Tables
from pipelines.parts import part_in_order, part_of, parts_of

DAY, NEXT = date(2026, 1, 1), date(2026, 1, 2)
SCHEMA = pa.schema([("id", pa.int64()), ("ds", pa.date32())])


@pytest.fixture
def written(tmp_path: Path):
    """Files of a day with so many rows, in row groups of ten, numbered on."""

    def write(sizes: Sequence[int], day: date = DAY, start: int = 0) -> list[DataFile]:
        files = []
        for number, size in enumerate(sizes):
            path = tmp_path / f"{day}-{number:03d}.parquet"
            rows = pa.table({"id": pa.array(range(start, start + size), pa.int64())})
            pq.write_table(rows, path, row_group_size=10)
            files.append(DataFile(day, str(path), size))
            start += size
        return files

    return write


@pytest.mark.parametrize(
    ("sizes", "rows", "count"),
    [
        ([100], 100, 1),
        ([100], 50, 2),
        ([100], 30, 4),
        ([5] * 20, 100, 1),
        ([5] * 20, 25, 4),
        ([95, 3, 2], 50, 3),
        ([7], 3, 1),
    ],
    ids=["small", "a large file", "unevenly", "many files", "packed", "both", "one row group"],
)
def test_every_row_is_in_one_slice(written, sizes, rows, count):
    files = written(sizes)
    cut = slices(files, rows)
    assert len(cut) == count
    read = [one.read(SCHEMA) for one in cut]
    assert Counter(i for table in read for i in table["id"].to_pylist()) == Counter(
        range(sum(sizes))
    )
    # No larger than asked for, but for a row group that is cut nowhere.
    assert all(len(table) < rows + 10 for table in read)


def test_days_are_not_mixed(written):
    files = written([5] * 4) + written([5] * 4, NEXT, 20)
    cut = slices(files, 1000)
    assert [one.ds for one in cut] == [DAY, NEXT]
    assert set(cut[1].read(SCHEMA)["ds"].to_pylist()) == {NEXT}


def test_only_wanted_rows_are_kept_and_in_their_order(written):
    read = DayReader(SCHEMA, SCHEMA.names, {DAY: written([25, 12])})
    kept = read.where(wanted(id=pa.array([30, 3, 99, 4, None])))(DAY)
    assert kept["id"].to_pylist() == [3, 4, 30]
    assert kept.schema == SCHEMA
    even = read.where(wanted(id=pa.array(range(0, 40, 2))))
    assert even.where(wanted(id=pa.array([3, 4, 30])))(DAY)["id"].to_pylist() == [4, 30]


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_parts_hold_about_as_many_rows_as_asked_for(rows, a_part):
    assert (parts_of(rows, a_part) - 1) * a_part < rows <= parts_of(rows, a_part) * a_part


@given(st.lists(st.integers(-(2**63), 2**63 - 1)), st.integers(1, 100))
def test_parts_in_order_follow_each_other(keys, parts):
    ordered = np.array(sorted(keys), dtype=np.int64)
    found = part_in_order(ordered, parts)
    assert list(found) == sorted(found)
    assert all(0 <= part < parts for part in found)


def test_parts_by_hash_are_about_as_large():
    ids = pa.array([f"u{k}" for k in range(10_000)])
    sizes = np.bincount(part_of(ids, 7), minlength=7)
    assert sizes.sum() == 10_000
    assert sizes.min() > 0.85 * sizes.mean()


COUNTS = "entity_counts"


def counts(ids: Sequence[str]) -> pa.Table:
    """One impression of each user."""
    rows = [
        {
            "entity_type": "user", "entity_id": user, "surface": "search", "impressions": 1,
            "clicks": 0, "expected_clicks_micro": 0, "ds": DAY,
        }
        for user in ids
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(COUNTS))


@pytest.mark.parametrize("stored", [1, 3, 4], ids=["whole", "in as many parts", "in others"])
def test_a_part_is_the_same_however_its_day_is_stored(tmp_path: Path, stored: int) -> None:
    tables = Tables(str(tmp_path))
    ids = [f"u{k}" for k in range(200)]
    rows = counts(ids)
    place = part_of(rows["entity_id"], stored)
    batches = []
    for part in range(stored):
        own = rows.filter(pa.array(place == part))
        if stored > 1:
            own = own.append_column(PART, pa.repeat(pa.scalar(part), len(own)))
        batches += own.to_batches()
    made = list(tables.file_writer(COUNTS, None, {DAY: stored})(iter(batches)))
    tables.commit(COUNTS, pa.Table.from_batches(made), [DAY])
    assert tables.parts(COUNTS, [DAY, NEXT]) == {DAY: stored, NEXT: 1}
    read = tables.day_reader(COUNTS, [DAY])
    found = [read.of_part("entity_id", part, 3)(DAY)["entity_id"].to_pylist() for part in range(3)]
    expected = part_of(pa.array(ids), 3)
    for part in range(3):
        assert sorted(found[part]) == sorted(
            user for user, own in zip(ids, expected, strict=True) if own == part
        )

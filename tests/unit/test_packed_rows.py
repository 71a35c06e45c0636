"""Rows that are moved to places: all of them, unchanged, and in the order in which they came."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines import packed_rows_spark
from pipelines.packed_rows_spark import moved_units, unpacked_by_place
from tests.support.local_spark import LocalSpark

ROWS = pa.table(
    {
        "number": pa.array(range(1000), pa.int64()),
        "text": pa.array([None if k % 7 == 0 else "ü" * (k % 5) for k in range(1000)]),
        "ids": pa.array([list(range(k % 4)) for k in range(1000)], pa.list_(pa.int64())),
        "attributes": pa.array([[("k", str(k))] for k in range(1000)], pa.map_("string", "string")),
    }
)
PLACES = (np.arange(1000) * 7 % 3).astype(np.int32)


@pytest.mark.parametrize("value_bytes", [2**20, 200])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("partitions", [3, 2])
def test_every_row_comes_where_it_is_to_go(
    value_bytes: int, whole: bool, partitions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_rows_spark, "_VALUE_BYTES", value_bytes)
    halves = [(PLACES[:500], ROWS.slice(0, 500)), (PLACES[500:], ROWS.slice(500))]
    frame = moved_units(LocalSpark(), 2, lambda number: iter([halves[number]]), partitions)  # type: ignore[arg-type]
    batches = frame.toArrow().to_batches()
    assert len(batches) == partitions
    moved = [one for own in batches for one in unpacked_by_place(iter([own]), whole=whole)]
    assert whole == (len(moved) == 3)
    for place in range(3):
        found = pa.concat_tables(rows for at, rows in moved if at == place)
        assert found.equals(ROWS.filter(pa.array(place == PLACES)))


def test_nothing_is_moved_of_no_rows() -> None:
    none = iter([(PLACES[:0], ROWS.slice(0, 0))])
    frame = moved_units(LocalSpark(), 1, lambda _: none, 3)  # type: ignore[arg-type]
    assert list(unpacked_by_place(iter(frame.toArrow().to_batches()), whole=True)) == []

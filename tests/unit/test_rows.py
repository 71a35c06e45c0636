"""Rows of slots: making, joining and packing them."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.rows import SlotRows


def int32(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def rows_of(*rows: list[int]) -> SlotRows:
    offsets = np.cumsum([0, *map(len, rows)])
    return SlotRows(offsets, int32(*[slot for row in rows for slot in row]))


def lists(rows: SlotRows) -> list[list[int]]:
    return [
        rows.slots[start:stop].tolist()
        for start, stop in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)
    ]


def test_column_gives_one_slot_or_none() -> None:
    assert lists(SlotRows.from_column(int32(5, 6))) == [[5], [6]]
    rows = SlotRows.from_column(int32(5, 0, 7), np.array([True, False, True]))
    assert lists(rows) == [[5], [], [7]]


def test_lists_keep_absolute_offsets_and_drop_invalid_elements() -> None:
    slots = int32(1, 2, 3, 4, 5)
    assert lists(SlotRows.from_lists(int32(1, 3, 3, 4), slots)) == [[2, 3], [], [4]]
    valid = np.array([True, False, True, False, True])
    assert lists(SlotRows.from_lists(int32(1, 3, 3, 4), slots, valid)) == [[3], [], []]


def test_join_puts_the_parts_of_a_row_in_their_order() -> None:
    first, second = rows_of([1, 2], [], [3]), rows_of([7], [8, 9], [])
    assert lists(SlotRows.concatenate([first, second, first])) == [[1, 2, 7, 1, 2], [8, 9], [3, 3]]


def test_join_refuses_parts_of_different_rows() -> None:
    with pytest.raises(ValueError, match=r"parts to join by row have \[1, 2\] rows"):
        SlotRows.concatenate([rows_of([1]), rows_of([1], [2])])
    with pytest.raises(ValueError, match="have"):
        SlotRows.concatenate([])


@pytest.mark.parametrize("large", [False, True])
def test_packing_round_trip(large: bool) -> None:
    content = [[1, -2], [], [3], [2**31 - 1, -(2**31)]]
    packed = rows_of(*content).to_binary(large=large)
    packed.validate(full=True)
    assert packed.type == (pa.large_binary() if large else pa.binary())
    assert lists(SlotRows.from_binary(packed)) == content
    assert lists(SlotRows.from_binary(packed[1:3])) == content[1:3]
    chunked = pa.chunked_array([packed[2:], packed[:0], packed[:2]])
    assert lists(SlotRows.from_binary(chunked)) == content[2:] + content[:2]


def test_packed_bytes_are_little_endian() -> None:
    assert rows_of([1, 258]).to_binary().to_pylist() == [b"\1\0\0\0\2\1\0\0"]


def test_rows_that_do_not_start_at_zero_pack_alike() -> None:
    part = SlotRows(np.array([2, 3, 5]), int32(9, 9, 1, 2, 3))
    assert lists(SlotRows.from_binary(part.to_binary())) == [[1], [2, 3]]


def test_unpacking_shares_memory() -> None:
    packed = rows_of([1, 2], [3]).to_binary()
    start = packed.buffers()[2].address
    assert SlotRows.from_binary(packed).slots.ctypes.data == start
    assert SlotRows.from_binary(packed[1:]).slots.ctypes.data == start + 8


def test_null_rows_have_no_slots_whatever_lies_beneath() -> None:
    assert lists(SlotRows.from_binary(pa.array([None, b"\1\0\0\0"], pa.binary()))) == [[], [1]]
    _, offsets, data = pa.array([b"\5\0\0\0", b"\6\0\0\0"]).buffers()
    masked = pa.Array.from_buffers(pa.binary(), 2, [pa.py_buffer(b"\2"), offsets, data])
    assert lists(SlotRows.from_binary(masked)) == [[], [6]]


def test_no_rows() -> None:
    assert len(SlotRows.from_binary(pa.array([], pa.binary()))) == 0
    assert len(SlotRows.from_binary(pa.chunked_array([], pa.binary()))) == 0
    assert len(rows_of().to_binary()) == 0


def test_unaligned_slots_are_read() -> None:
    packed = pa.array([b"x", b"\1\0\0\0"])[1:]
    assert lists(SlotRows.from_binary(packed)) == [[1]]


def test_broken_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple of 4"):
        SlotRows.from_binary(pa.array([b"12345"]))
    with pytest.raises(TypeError, match="binary"):
        SlotRows.from_binary(pa.array(["text"]))


@pytest.mark.parametrize("offsets", [[], [0, 3], [-1, 1], [2, 1, 2], [0, 2, 1]])
def test_offsets_outside_the_slots_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets"):
        SlotRows(np.array(offsets, dtype=np.int64), int32(1, 2))

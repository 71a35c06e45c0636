"""What holds for any text, any packing, any stream of rows."""

import itertools
import sys

import mmh3
import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.features.hashing import HASH_SEED, hash_strings
from pipelines.features.rows import SlotRows
from pipelines.models.elementary import probabilities
from pipelines.models.ftrl import FtrlParameters, FtrlState
from tests.support.ftrl import make_block

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
INT32 = st.integers(-(2**31), 2**31 - 1)
ROWS = st.lists(st.lists(INT32, max_size=4), max_size=6)
PARAMETERS = FtrlParameters(alpha=0.3, beta=1.0, l1=0.4, l2=0.7, bits=5)


def rows_of(content: list[list[int]]) -> SlotRows:
    offsets = np.cumsum([0, *map(len, content)])
    return SlotRows(offsets, np.array([s for row in content for s in row], dtype=np.int32))


def lists(rows: SlotRows) -> list[list[int]]:
    return [rows.slots[a:b].tolist() for a, b in itertools.pairwise(rows.offsets)]


@given(TEXT, st.lists(st.none() | TEXT, max_size=8), st.integers(0, 8), st.booleans())
def test_hash_equals_mmh3(
    namespace: str, values: list[str | None], start: int, encoded: bool
) -> None:
    column = pa.array(values, pa.string())
    column = column.dictionary_encode() if encoded else column
    expected = [
        0 if value is None else mmh3.hash(f"{namespace}={value}".encode(), HASH_SEED)
        for value in values
    ]
    assert hash_strings(namespace, column[start:]).tolist() == expected[start:]


@given(ROWS, st.integers(0, 6), st.booleans())
def test_packing_keeps_rows(content: list[list[int]], cut: int, large: bool) -> None:
    packed = rows_of(content).to_binary(large=large)
    assert lists(SlotRows.from_binary(packed[cut:])) == content[cut:]
    chunked = pa.chunked_array([packed[:cut], packed[cut:]])
    assert lists(SlotRows.from_binary(chunked)) == content


@given(st.lists(st.tuples(*[st.lists(INT32, max_size=3)] * 3), max_size=6))
def test_joined_rows_hold_the_parts_in_order(content: list[tuple[list[int], ...]]) -> None:
    parts = [rows_of([row[part] for row in content]) for part in range(3)]
    assert lists(SlotRows.concatenate(parts)) == [[*a, *b, *c] for a, b, c in content]


@given(st.sets(st.integers(1, 99), max_size=6), st.integers(0, 2**32 - 1))
def test_blocks_of_any_size_give_the_same_bits(cuts: set[int], seed: int) -> None:
    block = make_block(100, width=9, seed=seed)
    whole = FtrlState.new(PARAMETERS, dense=9)
    expected = block.learn(whole)
    cut = FtrlState.new(PARAMETERS, dense=9)
    parts = [
        block.learn(cut, start=start, stop=stop)
        for start, stop in itertools.pairwise([0, *sorted(cuts), 100])
    ]
    assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert cut.table.tobytes() == whole.table.tobytes()
    assert cut.dense.tobytes() == whole.dense.tobytes()


@given(st.floats(0, 1e300))
def test_square_root_survives_storage_as_n(n: float) -> None:
    root = np.sqrt(n)
    assert np.sqrt(root * root) == root


@given(st.floats(1e-4, 1.0), st.lists(st.floats(-30, 30), min_size=1, max_size=5))
def test_offset_equals_the_correction_of_he_2014(rate: float, natural: list[float]) -> None:
    logit = np.array(natural)
    sampled = probabilities(logit - np.log(rate))
    if (sampled < 1 - 1e-6).all():
        corrected = sampled / (sampled + (1 - sampled) / rate)
        np.testing.assert_allclose(probabilities(logit), corrected, rtol=1e-8)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8))
def test_probabilities_ascend_with_their_logits(values: list[float]) -> None:
    ordered = probabilities(np.sort(values))
    assert (np.diff(ordered) >= -sys.float_info.epsilon).all()
    assert ((ordered >= 0) & (ordered <= 1)).all()

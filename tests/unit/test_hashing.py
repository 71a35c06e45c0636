"""The hash of a feature: golden vectors, and every form in which a column may come."""

import pyarrow as pa
import pytest

from pipelines.features.hashing import hash_strings, hash_token

# From mmh3.hash("tag=" + value, 42); modulo 2**22 they equal what Spark ML's HashingTF.indexOf and
# FeatureHasher (column "tag") gave for the same text in Spark 4.2.0.
GOLDEN = {
    "": (993073523, 3217779),
    "a": (163092686, 3709134),
    "ab": (15087269, 2504357),
    "abc": (887919302, 2921158),
    "abcd": (830521112, 48920),
    "vintage": (2078926925, 2746445),
    "été": (-873263069, 3346467),
    "日本語": (-966107810, 2776414),
    "🎁 gift": (-2133831703, 1069033),
    "hand-made oak table, 120 cm": (1607557832, 1139400),
}
TEXTS = list(GOLDEN)
HASHES = [full for full, _ in GOLDEN.values()]


def test_golden_vectors() -> None:
    assert [hash_token("tag", text) for text in TEXTS] == HASHES
    assert hash_strings("tag", pa.array(TEXTS)).tolist() == HASHES


def test_lowest_bits_are_the_slots_of_spark_ml() -> None:
    slots = hash_strings("tag", pa.array(TEXTS)) & (2**22 - 1)
    assert slots.tolist() == [slot for _, slot in GOLDEN.values()]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_all_string_types_hash_alike(kind: pa.DataType) -> None:
    assert hash_strings("tag", pa.array(TEXTS, kind)).tolist() == HASHES


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_slices_and_chunks_hash_their_own_values(kind: pa.DataType) -> None:
    whole = pa.array(TEXTS, kind)
    chunked = pa.chunked_array([whole[3:5], whole[:0], whole[7:]])
    assert hash_strings("tag", whole[2:6]).tolist() == HASHES[2:6]
    assert hash_strings("tag", chunked).tolist() == HASHES[3:5] + HASHES[7:]


def test_dictionary_hashes_as_its_values() -> None:
    encoded = pa.array(["a", None, "ab", "a"]).dictionary_encode()
    a, ab = HASHES[1:3]
    assert hash_strings("tag", encoded).tolist() == [a, 0, ab, a]
    assert hash_strings("tag", encoded[1:3]).tolist() == [0, ab]
    with_null_entry = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None]))
    assert hash_strings("tag", with_null_entry).tolist() == [a, 0]


def test_nulls_give_zero() -> None:
    assert hash_strings("tag", pa.array(["a", None, "ab"])).tolist() == [HASHES[1], 0, HASHES[2]]
    assert hash_strings("tag", pa.nulls(2)).tolist() == [0, 0]
    assert hash_strings("tag", pa.array([None, None], pa.string())).tolist() == [0, 0]
    everything_null = pa.array([None], pa.string()).dictionary_encode()
    assert hash_strings("tag", everything_null).tolist() == [0]


def test_empty_columns_have_no_hashes() -> None:
    assert hash_strings("tag", pa.array([], pa.string())).tolist() == []
    assert hash_strings("tag", pa.chunked_array([], pa.string())).tolist() == []


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="expected strings to hash as 'tag', got int64"):
        hash_strings("tag", pa.array([1]))

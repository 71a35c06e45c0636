"""The scorer's own encodings and hashes are those that the features are made with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features import ids
from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS as OF_COLUMNS
from pipelines.features.hashing import hash_strings
from pipelines.features.text import characters, unigrams
from pipelines.models.fields import position_band
from pipelines.models.usual_values import PairCounts, UsualValues
from pipelines.scorer import value_ids as own
from pipelines.scorer.coded import Ids
from pipelines.scorer.labels import ENCODINGS, LISTS, Letters, labels_of
from pipelines.scorer.usual import relation
from tests.support.rows import batch_of

LETTERS = {f"letters/{name}": codes for name, codes in characters().items()}
NOT_OF_A_VALUE = {"constant", "words", "list", "age_band", "rate_band", "count_band"}
"""The bias; what listings alone have; and bands of history, which the file itself holds."""
TEXTS = [
    None, "", " ", "a", "a > b > c", "> a >> b", "home >  kitchen", "3", " 4.5e2 ", "-1", "0",
    "+.5", "5.", "1e-9", "1e9", "0x10", "1_000", "nan", "inf", "٣", "7 7", "Größe",
    "don't STOP", "a\tb",
]  # fmt: skip


def column_of(encoding, values):
    """Labels of each row by the encoding of columns."""
    kinds = {"weekday": pa.date32(), "weekend": pa.date32(), "hour": pa.timestamp("us", "UTC")}
    if encoding in kinds:
        values = pa.array(range(20_400, 20_420)) if encoding != "hour" else pa.array(values)
        values = values.cast(pa.int32()) if encoding != "hour" else values
        values = values.cast(kinds[encoding])
    else:
        values = pa.array(values, pa.string())
    tokens = OF_COLUMNS[encoding](Batch(batch_of(x=values), {}), ("x",))
    labels = tokens.labels.to_pylist()
    if tokens.offsets is not None:
        spans = zip(tokens.offsets[:-1].tolist(), tokens.offsets[1:].tolist(), strict=True)
        return values, [[labels[k] for k in tokens.codes[a:b].tolist()] for a, b in spans]
    valid = np.ones(len(values), bool) if tokens.valid is None else tokens.valid
    rows = zip(tokens.codes.tolist(), valid.tolist(), strict=True)
    return values, [[labels[k]] if there else [] for k, there in rows]


@pytest.mark.parametrize("encoding", sorted(OF_COLUMNS.keys() - NOT_OF_A_VALUE))
def test_a_request_s_values_are_labelled_as_columns_are(encoding):
    assert encoding in (*ENCODINGS, *LISTS)
    given = (
        [0, 3_599_999_999, 3_600_000_000, 86_399_999_999, 1.7e15] if encoding == "hour" else TEXTS
    )
    given = [int(value) for value in given] if encoding == "hour" else given
    values, expected = column_of(encoding, given)
    letters = Letters(LETTERS)
    found = [labels_of(encoding, value, letters) for value in values.to_pylist()]
    assert found == expected
    assert any(found)


@pytest.mark.parametrize("number", [1, 2, 0.5, 2**0.5, 1000, 1e12, 0, -3, float("nan")])
@pytest.mark.parametrize("encoding", ["number", "log_band"])
def test_numbers_need_not_be_texts(encoding, number):
    tokens = OF_COLUMNS[encoding](Batch(batch_of(x=pa.array([number], pa.float64())), {}), ("x",))
    has_label = tokens.valid is None or tokens.valid[0]
    expected = [tokens.labels[int(tokens.codes[0])].as_py()] if has_label else []
    assert labels_of(encoding, number, Letters(LETTERS)) == expected


def test_every_character_is_split_as_in_columns():
    texts = [
        f"a{chr(code)}b" for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF
    ]
    letters = Letters(LETTERS)
    found = [labels_of("unigrams", text, letters) for text in texts]
    assert found == unigrams(pa.array(texts)).to_pylist()


def test_positions_have_the_bands_of_calibration():
    for position in range(1, 60):
        assert ENCODINGS["position_band"](position) == position_band(position)


def test_values_have_the_ids_of_the_joint_model():
    texts = ["", "a", "mug", "x" * 15, "x" * 16, "x" * 17, "Größe", "日本語のマグカップ"]
    for namespace in ("user", "surface_x_position"):
        expected = ids.value_ids(namespace, pa.array([None, *texts]))
        np.testing.assert_array_equal(own.value_ids(namespace, [None, *texts]), expected)
    one, other = (own.value_ids(name, [*texts, None]) for name in ("a", "b"))
    for parts in ([one], [one, other], [other, one], [one, other[::-1].copy()], [one, one, other]):
        np.testing.assert_array_equal(own.cross_ids("c", parts), ids.cross_ids("c", parts))
    assert own.NONE == ids.NONE
    hashed = hash_strings("query_word", pa.array(texts)).view(np.uint32)
    np.testing.assert_array_equal(own.feature_hashes("query_word", texts), hashed)


def test_a_row_stands_to_what_is_usual_as_in_training():
    random = np.random.default_rng(5)
    entity, value = random.integers(1, 6, 60), random.integers(1, 9, 60)
    usual = UsualValues(PairCounts.none().added(entity, value, value // 3))
    name, labels = "usual_category", [None, *map(str, range(12))]
    rows = 400
    codes = {part: random.integers(0, len(labels), rows) for part in ("query", "leaf")}
    at = {part: own.value_ids(part, labels)[codes[part]] for part in codes}
    # The ids of the world above are small numbers: half the rows have such.
    small = random.random(rows) < 0.7
    asked = np.where(small, random.integers(1, 8, rows), at["query"])
    leaf = np.where(small, random.integers(1, 10, rows), at["leaf"])
    branch = np.where(small, leaf // 3, own.NONE)
    expected = usual.relation(name, asked, leaf, branch)
    known, values, branches = usual.arrays()
    order = np.argsort(known)
    arrays = {
        "usual/entity": known[order], "usual/value": values[order], "usual/branch": branches[order]
    }  # fmt: skip
    parts = (Ids(*np.unique(own_ids, return_inverse=True)) for own_ids in (asked, leaf, branch))
    found = relation(name, arrays, *parts)
    np.testing.assert_array_equal(found.values[found.codes], expected)
    assert len(np.unique(expected)) == 5


def test_the_ids_that_the_document_gives_are_right():
    (value,) = own.value_ids("user", ["u-7"])
    parts = [own.value_ids("surface", ["promoted"]), own.value_ids("device", ["mobile"])]
    (cross,) = own.cross_ids("surface_x_device", parts)
    text = Path(__file__).parents[2].joinpath("docs/serving.md").read_text(encoding="utf-8")
    assert f"the id {value}; the cross" in text
    assert f"has {cross}." in text

"""What each encoding makes of values, of nulls, of slices and of nothing."""

import itertools
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.batch import Batch
from pipelines.features.encodings import ENCODINGS
from pipelines.features.hashing import hash_token
from pipelines.features.tokens import Tokens, cross, integers, strings
from tests.support.rows import DAY, batch_of

ATTRIBUTES = pa.map_(pa.string(), pa.string())
NOON = datetime(2026, 2, 10, 12, tzinfo=UTC)
# Columns of one row without anything, by type, so that every encoding can be given nothing.
STRINGS = pa.list_(pa.string())
SUMS = {
    f"{entity}_{surface}_{what}": pa.int64()
    for entity in ("listing", "shop", "category")
    for surface in ("search", "promoted")
    for what in ("impressions", "clicks", "expected_micro")
}
TIME = pa.timestamp("us", "UTC")


def values_of(tokens: Tokens) -> list[list[str]]:
    """The values of each row as text."""
    labels = tokens.labels.to_pylist()
    if tokens.offsets is not None:
        ends = tokens.offsets.tolist()
        return [[labels[c] for c in tokens.codes[a:b]] for a, b in itertools.pairwise(ends)]
    valid = tokens.valid if tokens.valid is not None else [True] * len(tokens.codes)
    return [[labels[c]] if good else [] for c, good in zip(tokens.codes, valid, strict=True)]


def encoded(name, *inputs, **columns):
    return values_of(ENCODINGS[name](Batch(batch_of(**columns), {}), inputs))


@pytest.mark.parametrize(
    ("encoding", "values", "expected"),
    [
        ("identity", pa.array(["a", None, ""]), [["a"], [], [""]]),
        ("unigrams", pa.array(["Blue  MUG!", None, "…"]), [["blue", "mug"], [], []]),
        ("list", pa.array([["Mug", None], None, []], STRINGS), [["mug"], [], []]),
        ("path_levels", pa.array(["a > b", None, "a", " > "]), [["a", "a > b"], [], ["a"], []]),
        ("log_band", pa.array([1.0, 2.0, 0.0, -3.0, None]), [["1"], ["3"], ["-99"], ["-99"], []]),
        ("log_band", pa.array(["1", "x", " 2e0 ", None]), [["1"], [], ["3"], []]),
        ("number", pa.array([3, None, -1], pa.int32()), [["3"], [], ["-1"]]),
        ("number", pa.array(["7", "", "nan"]), [["7"], [], []]),
        ("weekday", pa.array([DAY, date(2026, 2, 15)]), [["2"], ["7"]]),
        ("hour", pa.array([NOON, None], TIME), [["12"], []]),
    ],
)
def test_values_and_nulls(encoding, values, expected):
    assert encoded(encoding, "x", x=values) == expected


def test_words_of_a_title_and_its_tags_may_both_be_missing():
    tags = pa.array([["red"], None, ["red"], None], STRINGS)
    found = encoded("words", "t", "g", t=["A mug", "a", None, None], g=tags)
    assert found == [["a", "mug", "red"], ["a"], ["red"], []]


def test_age_is_counted_to_the_end_of_the_day():
    created = [datetime(2026, 2, 10, 23, tzinfo=UTC), datetime(2026, 2, 7, tzinfo=UTC), None]
    late = datetime(2026, 3, 1, tzinfo=UTC)
    found = encoded("age_band", "c", c=pa.array([*created, late], TIME))
    assert found == [["0"], ["3"], [], ["0"]]


def test_an_attribute_is_read_by_its_key():
    given = pa.array([[("page", "home")], [], None, [("other", "x")]], ATTRIBUTES)
    assert encoded("identity", "attributes.page", attributes=given) == [["home"], [], [], []]
    nothing = pa.array([None, None], ATTRIBUTES)
    assert encoded("identity", "attributes.page", attributes=nothing) == [[], []]
    assert encoded("number", "attributes.n", attributes=pa.array([[("n", "4")]], ATTRIBUTES)) == [
        ["4"]
    ]


def test_count_bands_are_powers_of_two_and_zero_is_its_own():
    columns = {name: pa.array([0, 1, 2, 3, 4, None], pa.int64()) for name in SUMS}
    assert encoded("count_band", "listing.search", **columns) == [[k] for k in "012230"]
    assert encoded("count_band", "listing.both", **columns) == [[k] for k in "023340"]


def test_rate_bands_are_quarter_steps_of_the_log_and_begin_at_what_positions_give():
    clicks, expected = [10, 0, 40, 15], 10_000_000
    columns = {name: pa.array([0] * 4, pa.int64()) for name in SUMS} | {
        "category_search_clicks": pa.array(clicks, pa.int64()),
        "category_search_expected_micro": pa.array([expected] * 4, pa.int64()),
    }
    # Smoothed by ten expected clicks: 1, 1/2, 5/2 and 5/4, whose logs are 0, -.69, .92 and .22.
    assert encoded("rate_band", "category.search", **columns) == [["0"], ["-3"], ["3"], ["0"]]


@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
@pytest.mark.parametrize("rows", [0, 3])
def test_a_batch_without_rows_or_without_values_is_no_special_case(encoding, rows):
    kinds = {
        "list": STRINGS,
        "age_band": TIME,
        "hour": TIME,
        "log_band": pa.float64(),
        "number": pa.int32(),
    }
    kind = kinds.get(encoding, pa.string())
    columns = {"x": pa.nulls(rows, kind), "y": pa.nulls(rows, STRINGS)}
    columns |= {name: pa.nulls(rows, kind) for name, kind in SUMS.items()}
    inputs = {"words": ("x", "y"), "weekday": ("ds",), "weekend": ("ds",)}.get(encoding, ("x",))
    if encoding.endswith("_band") and encoding in ("rate_band", "count_band"):
        inputs = ("listing.both",)
    batch = batch_of(**columns, ds=pa.array([DAY] * rows, pa.date32()))
    slots = ENCODINGS[encoding](Batch(batch, {}), inputs).slots("n")
    assert len(slots) == rows
    always = encoding in ("constant", "weekday", "weekend", "rate_band", "count_band")
    assert slots.lengths.tolist() == [int(always)] * rows


@pytest.mark.parametrize(
    "encoding", ["identity", "unigrams", "list", "words", "path_levels", "hour"]
)
@pytest.mark.parametrize("with_null", [False, True])
def test_a_slice_gives_what_its_rows_give_alone(encoding, with_null):
    texts = ["A > x", "B y", "C > z > w", "B y", None if with_null else "d"]
    tags = [["p", "Q"], ["r"], ["s", "p"], [], None if with_null else ["t"]]
    columns = {"x": pa.array(texts), "y": pa.array(tags, STRINGS)}
    if encoding == "list":
        columns["x"] = columns["y"]
    if encoding == "hour":
        columns["x"] = pa.array([NOON, None if with_null else NOON, NOON, NOON, NOON], TIME)
    inputs = ("x", "y") if encoding == "words" else ("x",)
    whole = values_of(ENCODINGS[encoding](Batch(batch_of(**columns), {}), inputs))
    sliced = batch_of(**columns).slice(1, 4)
    assert values_of(ENCODINGS[encoding](Batch(sliced, {}), inputs)) == whole[1:]


def test_a_cross_joins_values_in_order_and_needs_all_of_them():
    color = strings(pa.array(["red", None, "red", "blue"]))
    size = integers(np.array([1, 2, 3, 1]), np.array([True, True, True, True]))
    assert values_of(cross([color, size])) == [["red|1"], [], ["red|3"], ["blue|1"]]
    assert values_of(cross([size, color])) == [["1|red"], [], ["3|red"], ["1|blue"]]


def test_a_cross_with_a_column_without_values_has_none():
    nothing = strings(pa.nulls(2, pa.string()))
    assert values_of(cross([nothing, integers(np.array([1, 2]))])) == [[], []]


def test_a_cross_of_lists_is_refused():
    words = ENCODINGS["unigrams"](Batch(batch_of(x=["a b"]), {}), ("x",))
    with pytest.raises(ValueError, match="one value a row"):
        cross([words, integers(np.array([1]))])


def test_slots_are_the_hashes_of_namespace_and_value():
    found = ENCODINGS["unigrams"](Batch(batch_of(x=["a b", None, "b"]), {}), ("x",)).slots("title")
    assert found.slots.tolist() == [hash_token("title", w) for w in ("a", "b", "b")]
    assert found.lengths.tolist() == [2, 0, 1]


def test_counts_leave_rows_without_a_value_out():
    assert strings(pa.array(["a", None, "a"])).counts().tolist() == [2]

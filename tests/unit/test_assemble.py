"""One assembling for training, back-test and scoring: order of namespaces, models, pairs, names."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from jobs.planning.inputs import registry
from pipelines.days import day_numbers
from pipelines.features.assemble import Assembler, explain_listing, names_batch
from pipelines.features.hashing import hash_token
from pipelines.features.pairs import shared_words, word_count_slots
from pipelines.features.registry import MODELS, Namespace, check_registry, of_scope
from pipelines.features.rows import SlotRows
from tests.support.rows import DAY, DAY_NUMBER, arrow_rows

ENTITIES = ("listing", "shop", "category")
STRENGTHS = {(DAY_NUMBER, e, s): 4.0 for e in ENTITIES for s in ("search", "promoted", "both")}


def namespace(name, encoding="identity", inputs=("title",), model="content", scope="listing"):
    return Namespace(name, model, scope, encoding, tuple(inputs))


def listing_batch(*changes):
    """Listings with window sums, as `listing_frame` gives them."""
    table = arrow_rows("listings", changes).combine_chunks()
    size = len(table)
    for entity in ENTITIES:
        for surface in ("search", "promoted"):
            for what, value in (("impressions", 40), ("clicks", 3), ("expected_micro", 2_000_000)):
                values = pa.array([value + k for k in range(size)], pa.int64())
                table = table.append_column(f"{entity}_{surface}_{what}", values)
    return table.to_batches()[0] if size else pa.RecordBatch.from_pylist([], schema=table.schema)


@pytest.fixture(scope="module")
def assembler(config):
    return Assembler(registry(config), STRENGTHS)


LISTINGS = (
    {},
    {"listing_id": "l2", "title": "mug mug", "tags": None, "price": None, "created_ts": None},
    {"listing_id": "l3", "category": "toys", "tags": [], "quantity": 0, "ds": DAY + timedelta(1)},
)


def rows_of(slots, row):
    return slots.slots[slots.offsets[row] : slots.offsets[row + 1]].tolist()


def test_explaining_a_listing_names_exactly_its_row_in_its_order(assembler):
    batch = listing_batch(*LISTINGS)
    rows = assembler.rows(assembler.tokens(batch, "listing"), "listing")
    for k in range(len(LISTINGS)):
        named = explain_listing(assembler.namespaces, batch.slice(k, 1), STRENGTHS)
        for model in MODELS:
            own = [(ns, value, slot) for m, ns, value, slot in named if m == model]
            assert [slot for *_, slot in own] == rows_of(rows[model], k)
            assert [slot for *_, slot in own] == [hash_token(ns, value) for ns, value, _ in own]


def test_namespaces_stand_in_the_order_of_the_registry(assembler):
    order = [n.name for n in of_scope(assembler.namespaces, "listing", "content")]
    named = explain_listing(assembler.namespaces, listing_batch({}), STRENGTHS)
    found = [ns for model, ns, *_ in named if model == "content"]
    assert found == sorted(found, key=order.index)
    assert set(found) == set(order)


def test_a_batch_without_rows_gives_no_rows(assembler):
    rows = assembler.rows(assembler.tokens(listing_batch(), "listing"), "listing")
    assert [len(rows[model]) for model in MODELS] == [0, 0]


def test_names_tell_every_value_and_how_often(assembler):
    batch = listing_batch(*LISTINGS)
    tokens = assembler.tokens(batch, "listing")
    named = pa.Table.from_batches(names_batch(tokens, day_numbers(batch.column("ds"))))
    told = {
        (row["namespace"], row["value"], row["ds"]): (row["rows"], row["slot"])
        for row in named.to_pylist()
    }
    assert len(told) == named.num_rows
    assert told["title", "mug", DAY][0] == 3
    assert told["title", "mug", DAY + timedelta(1)][0] == 1
    assert all(slot == hash_token(ns, value) for (ns, value, _), (_, slot) in told.items())
    explained = [
        explain_listing(assembler.namespaces, batch.slice(k, 1), STRENGTHS) for k in range(3)
    ]
    hashed = {(ns, value) for one in explained for _, ns, value, _ in one}
    assert {key[:2] for key in told} == hashed


def test_pairs_count_each_shared_word_once_and_cap_at_three():
    def words(*texts):
        column = pa.array(list(texts), pa.string())
        empty = Assembler((namespace("shared_words", "shared_words", (), "both", "pair"),), {})
        return empty.word_rows(pa.RecordBatch.from_pydict({"x": column}), "x")

    query = words("blue mug blue", None, "a b c d e", "x", "blue")
    listing = words("mug blue", "mug", "e d c b a", "y", None)
    shared = shared_words(query, listing)
    assert shared.lengths.tolist() == [2, 0, 5, 0, 0]
    counts = word_count_slots("n", shared, query)
    expected = [["2/3"], [], ["3/3"], ["0/1"], ["0/1"]]
    assert [rows_of(counts, k) for k in range(5)] == [
        [hash_token("n", value) for value in row] for row in expected
    ]


def test_pair_rows_go_to_the_models_that_serve_them():
    only = Assembler((namespace("n", "shared_word_count", (), "historical", "pair"),), {})
    query = SlotRows(np.array([0, 1]), np.array([7], np.int32))
    rows = only.pair_rows(query, query)
    assert rows["historical"].slots.tolist() == [hash_token("n", "1/1")]
    assert rows["content"].lengths.tolist() == [0]


def test_an_unknown_encoding_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"namespace x: unknown encoding nope; there are age_band"):
        Assembler((namespace("x", "nope"),), {})


@pytest.mark.parametrize(
    ("namespaces", "told"),
    [
        ([namespace("a"), namespace("a")], "a is registered twice"),
        ([namespace("a=b")], "may not hold '='"),
        ([namespace("x", "cross", ["a", "b"])], "a is no earlier namespace"),
        ([namespace("x", "cross", ["a"]), namespace("a")], "a is no earlier namespace"),
        (
            [namespace("a", inputs=("query",), scope="context"), namespace("x", "cross", ["a"])],
            "of scope listing",
        ),
        ([namespace("a"), namespace("x", "shared_words", scope="listing")], "scope pair"),
        ([namespace("x", "identity", scope="pair")], "scope pair"),
        ([namespace("t", "unigrams"), namespace("x", "cross", ["t"])], "lists"),
        ([namespace("x", "rate_band", ["listing"])], "<entity>.<surface>"),
        ([namespace("x", "rate_band", ["query.both"])], "<entity>.<surface>"),
        ([namespace("x", "identity", [])], "takes 1 inputs, not 0"),
        ([namespace("x", "cross", [])], "needs inputs"),
        ([namespace("x", "shared_words", scope="pair")], "the name must be that"),
    ],
)
def test_a_registry_that_cannot_be_assembled_is_refused(namespaces, told):
    with pytest.raises(ValueError, match=told):
        check_registry(namespaces)


def test_the_configured_registry_is_whole(config):
    names = registry(config)
    check_registry(names)
    assert {n.scope for n in names} == {"listing", "context", "pair"}
    assert all(n.owner and n.why for n in names)


def test_a_renamed_namespace_is_a_new_feature(assembler):
    first = assembler.namespaces[0]
    renamed = Assembler((replace(first, name="other"), *assembler.namespaces[11:12]), STRENGTHS)
    batch = listing_batch({})
    tokens = assembler.tokens(batch, "listing")[first.name].slots(first.name)
    assert renamed.tokens(batch, "listing")["other"].slots("other").slots != tokens.slots

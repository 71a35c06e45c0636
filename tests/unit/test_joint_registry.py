"""The joint model's registry: what is refused, what follows by rule, which attributes join."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from jobs.planning.joint_inputs import joint_registry
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError
from pipelines.features.joint_days import namespace_rows, stored_keys, vectors_left_out
from pipelines.features.joint_dense import add_lengths, vector_lengths
from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_patterns import (
    AttributeLimits,
    count_attributes,
    day_attributes,
    keys_of,
)
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler

SURFACE = {"name": "surface", "scope": "request", "encoding": "identity", "inputs": ["surface"]}
DEVICE = {"name": "device", "scope": "request", "encoding": "identity", "inputs": ["device"]}
LISTING = {"name": "listing", "scope": "listing", "encoding": "identity", "inputs": ["listing_id"]}
QUERY = {"name": "query", "scope": "request", "encoding": "identity", "inputs": ["query"]}
PATTERN = {
    "name": "attributes.*", "scope": "request", "encoding": "identity", "inputs": ["attributes.*"],
}  # fmt: skip
CATEGORY = {"name": "category", "scope": "listing", "encoding": "identity", "inputs": ["category"]}
IMAGE = {
    "name": "image", "scope": "listing", "of": "listing", "encoding": "dense",
    "inputs": ["image_vector"],
}  # fmt: skip
USUAL = {
    "name": "usual", "scope": "pair", "encoding": "usual",
    "inputs": ["query", "category", "listing"],
}  # fmt: skip
LIMITS = AttributeLimits(most=3, most_values=4)


def registered(*blocks):
    return [JointNamespace(**({"prior": 0.1} | b | {"inputs": tuple(b["inputs"])})) for b in blocks]


def cross(*inputs, name="crossed"):
    return {"name": name, "scope": "cross", "encoding": "cross", "inputs": inputs}


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([DEVICE | {"inputs": ["decive"]}], "joint namespace device: unknown input decive"),
        ([DEVICE | {"inputs": ["clicked"]}], "unknown input clicked"),
        ([DEVICE | {"inputs": ["attributes"]}], "unknown input attributes"),
        ([DEVICE | {"inputs": ["device.x"]}], "unknown input device.x"),
        ([DEVICE | {"inputs": ["price"]}], "unknown input price; scope request has"),
        ([DEVICE, cross("device", "brand")], "crossed: brand is no earlier namespace of rows"),
        ([cross("device", "surface"), SURFACE, DEVICE], "device is no earlier namespace"),
        ([DEVICE, DEVICE], "joint namespace device is registered twice"),
        ([DEVICE | {"prior": -0.1}], "joint namespace device: a standard deviation is negative"),
        ([DEVICE | {"encoding": "identitty"}], "unknown encoding identitty"),
        ([LISTING, DEVICE | {"of": "listing"}], "a content of listing is of scope listing"),
        ([DEVICE | {"inputs": ["attributes.c*"]}], "the only pattern is the input attributes"),
        ([LISTING, IMAGE | {"inputs": ["title"]}], "image: dense takes one of price, quantity"),
        ([LISTING, IMAGE | {"inputs": ["image_vector", "price"]}], "image: dense takes one of"),
        ([LISTING, IMAGE | {"of": "row"}], "image: dense is content of listings"),
        ([PATTERN | {"name": "mine"}], "needs a name that ends in"),
        ([PATTERN | {"encoding": "log_band"}], "takes identity"),
        ([PATTERN, PATTERN | {"name": "more.*"}], "has the attributes of scope request already"),
        ([PATTERN, DEVICE | {"name": "attributes.x"}], "are those of attributes"),
        ([DEVICE | {"name": "attributes.x"}, PATTERN], "attributes.x begins like it"),
        ([PATTERN, SURFACE, cross("surface", "attributes.*")], "is no earlier namespace of rows"),
        (
            [SURFACE, DEVICE, QUERY, CATEGORY, LISTING, USUAL, cross("usual", "device")],
            "usual is known to the model alone",
        ),
    ],
)
def test_a_wrong_registry_is_told_in_one_line(blocks, message):
    with pytest.raises(ValueError, match=re.escape(message)) as told:
        JointRegistry(registered(*blocks))
    assert "\n" not in str(told.value)


def test_a_wrong_registry_stops_a_run_before_anything_is_read(tmp_path, monkeypatch, capsys):
    from jobs.__main__ import main

    wrong = tmp_path / "wrong.toml"
    wrong.write_text(
        '[[joint.more]]\nname = "brand"\nscope = "listing"\nencoding = "identity"\n'
        'inputs = ["brand"]\nprior = 0.1\nwhy = ""\n'
    )
    words = ["run", "--conf", str(wrong), "--root", str(tmp_path / "warehouse")]
    assert main([*words, "--landing", str(tmp_path / "nothing")]) == 2
    assert "configuration: joint: joint namespace brand: unknown input" in capsys.readouterr().err
    assert not (tmp_path / "warehouse").exists()


def test_crosses_with_surface_need_a_surface():
    with pytest.raises(ValueError, match="need a surface"):
        JointRegistry(registered(DEVICE), 0.1)


def test_what_has_few_values_and_is_learnt_is_crossed_with_surface_by_rule():
    blocks = registered(
        SURFACE, DEVICE, CATEGORY, PATTERN, QUERY | {"is_id": True}, LISTING | {"is_id": True},
        {"name": "weekday", "scope": "request", "encoding": "weekday", "inputs": ["ds"],
         "learnt": False},
        {"name": "position", "scope": "request", "encoding": "number", "inputs": ["position"]},
        cross("surface", "position", name="place"), cross("device", "category"),
        {"name": "shop", "scope": "listing", "encoding": "identity", "inputs": ["shop_id"],
         "of": "listing"},
    )  # fmt: skip
    registry = JointRegistry(blocks, 0.07, {"request": ["channel"]})
    by_rule = {c.name: c for c in registry.columns if c.name.startswith("surface_x_")}
    assert set(by_rule) == {
        "surface_x_device", "surface_x_category", "surface_x_attributes.channel",
    }  # fmt: skip
    assert {c.prior for c in by_rule.values()} == {0.07}
    assert by_rule["surface_x_device"].scope == "request"
    assert by_rule["surface_x_category"].scope == "pair"
    none = JointRegistry(blocks, 0.0)
    assert not [c.name for c in none.columns if c.name.startswith("surface_x_")]


def attributes(*rows):
    return pa.chunked_array([pa.array(rows, pa.map_(pa.string(), pa.string()))])


def taken(rows, scope="request", blocks=(PATTERN,), limits=LIMITS):
    counts = count_attributes(registered(*blocks), scope, attributes(*rows), limits)
    return day_attributes(registered(*blocks), scope, counts, limits)


def test_a_day_s_attributes_are_those_of_its_rows_whatever_their_order():
    rows = [[("b", "1"), ("a", "x")], None, [], [("a", None), ("c", "1")], [("b", "2")]]
    assert taken(rows).taken == ("a", "b", "c")
    assert taken(rows[::-1]).taken == ("a", "b", "c")
    assert taken([[("a", None)]]).taken == ()


def test_an_attribute_that_is_registered_by_itself_is_not_taken_again():
    own = DEVICE | {"name": "page", "inputs": ["attributes.page"]}
    found = taken([[("page", "x"), ("other", "y")]], blocks=(own, PATTERN))
    assert found.taken == ("other",)
    assert found.left_out == {}


def test_an_attribute_of_very_many_values_is_left_out_and_told():
    rows = [[("id", str(k)), ("few", str(k % 4))] for k in range(5)]
    found = taken(rows)
    assert found.taken == ("few",)
    assert found.left_out["id"].startswith("more than 4 values: register it by itself")


def test_only_the_most_frequent_attributes_are_taken():
    rows = [[(name, "1") for name in "abcde"], [("e", "1")], [("d", "1")]]
    found = taken(rows)
    assert found.taken == ("a", "d", "e")
    assert set(found.left_out) == {"b", "c"}


def test_vectors_of_another_length_are_told_with_the_day_s_namespaces():
    registry = JointRegistry(registered(LISTING, IMAGE))
    vectors = [[1.0, 2.0], [3.0], None, [4.0, 5.0]]
    for given, told in (
        (vectors, "1 listings: their vector has another length than 2"),
        (vectors[2:], None),
    ):
        column = pa.array(given, pa.list_(pa.float32()))
        # Of two slices of the listings.
        lengths = add_lengths(vector_lengths(part) for part in (column[:1], column[1:]))
        rows = {
            row["namespace"]: row
            for row in namespace_rows(registry, {}, {}, vectors_left_out({"image": lengths}))
        }
        assert rows["image"]["left_out"] == told
        assert rows["image"]["kind"] == "dense"
        assert stored_keys(rows.values()) == {}


def test_without_a_pattern_no_attribute_is_taken():
    assert taken([[("a", "1")]], scope="listing").taken == ()


def test_the_attributes_that_a_state_knows_are_those_of_its_names():
    blocks = registered(SURFACE, PATTERN)
    names = ["surface", "attributes.a", "surface_x_attributes.a", "attributes.b.c"]
    assert keys_of(blocks, names) == {"request": {"a", "b.c"}}


def test_the_configured_registry_is_right_and_may_be_added_to(tmp_path):
    assert joint_registry(load_config(environment={})).columns
    more = '[{name="brand",scope="listing",encoding="identity",inputs=["x"],prior=0.1,why=""}]'
    with pytest.raises(UsageError, match="unknown input x"):
        joint_registry(load_config(settings=[f"joint.more={more}"], environment={}))


def test_what_listings_hold_of_a_vector_follows_from_the_length_that_the_day_has():
    batch = pa.RecordBatch.from_pydict(
        {
            "listing_id": ["a", "b", "c"],
            "image_vector": pa.array([[1.0], [2.0], [3.0, 4.0]], pa.list_(pa.float32())),
        }
    )
    registry = JointRegistry(registered(LISTING, IMAGE))
    of_day = JointAssembler(registry, {"image": 2}).contents(batch, "listing")
    assert of_day["values"].to_pylist() == [[], [], [3.0, 4.0]]
    of_rows = JointAssembler(registry).contents(batch, "listing")
    assert of_rows["values"].to_pylist() == [[1.0], [2.0], []]

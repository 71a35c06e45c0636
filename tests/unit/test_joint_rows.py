"""Rows of the joint model: which value of which namespace a row holds, and where it holds none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.ids import NONE, cross_ids, value_id
from pipelines.features.joint_columns import all_columns
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler
from tests.support.joint_rows import (
    ALL,
    LISTING,
    PAIR,
    REGISTRY,
    SURFACE,
    TITLE,
    USER,
    listings,
)

NAMES = [column.name for column in REGISTRY.columns]


def rows(**changes: list[object]) -> dict[str, list[int]]:
    """Ids by column of three impressions: of both listings, and of one in no snapshot."""
    given = {
        "surface": ["search", "promoted", "promoted"],
        "user_id": ["u1", None, "u2"],
        "query": ["oak bowl", "oak", None],
        "listing_id": ["l1", "l2", "l9"],
    } | changes
    assembler = JointAssembler(REGISTRY)
    batch = pa.RecordBatch.from_pydict(given)
    own = assembler.values(batch, assembler.listings(listings()), np.array([0, 1, -1]))
    made = all_columns(assembler.registry, own)
    return dict(zip(NAMES, made.T.tolist(), strict=True))


def test_columns_follow_the_registry_with_what_is_missing_and_crosses_beside() -> None:
    assert NAMES == [
        "surface", "user", "user_is_unknown", "listing", "category", "surface_x_category",
        "shared_words", "surface_x_shared_words", "user_x_category",
    ]  # fmt: skip
    by_name = dict(zip(NAMES, REGISTRY.columns, strict=True))
    assert [by_name[n].scope for n in ("user_is_unknown", "category", "surface_x_category")] == [
        "request", "listing", "pair",
    ]  # fmt: skip
    assert [n for n in NAMES if not by_name[n].is_served] == ["user", "user_x_category"]
    assert by_name["surface_x_category"].walk == 0.01
    assert by_name["user_is_unknown"].prior == 0.1


def test_a_value_that_is_missing_has_no_id_and_is_said_to_be_missing() -> None:
    found = rows()
    assert found["user"] == [value_id("user", "u1"), NONE, value_id("user", "u2")]
    assert found["user_is_unknown"] == [NONE, value_id("user_is_unknown", "missing"), NONE]
    assert found["category"] == [value_id("category", "cups"), NONE, NONE]


def test_a_cross_is_of_the_ids_of_its_parts_in_their_order() -> None:
    found = rows()
    cups = np.array([value_id("category", "cups")])
    for name, first in (
        ("surface_x_category", value_id("surface", "search")),
        ("user_x_category", value_id("user", "u1")),
    ):
        expected = cross_ids(name, [np.array([first]), cups])[0]
        assert found[name] == [expected, NONE, NONE]


def test_of_a_listing_in_no_snapshot_the_id_is_known() -> None:
    assert rows()["listing"] == [value_id("listing", name) for name in ("l1", "l2", "l9")]


def test_shared_words_are_counted_out_of_those_of_the_query_and_are_nothing_without_one() -> None:
    found = rows(query=["oak bowl", "cup of tea", None])["shared_words"]
    assert found == [value_id("shared_words", "2/2"), value_id("shared_words", "1/3"), NONE]


def test_a_word_that_is_in_a_title_twice_is_one_content() -> None:
    made = JointAssembler(REGISTRY).contents(listings(), "listing")
    assert made["id"].to_pylist() == [value_id("listing", "l1"), value_id("listing", "l2")]
    words = [sorted(value_id("title_word", word) for word in ("blue", "oak", "bowl"))]
    words.append([value_id("title_word", "cup")])
    assert [sorted(parts) for parts in made["parts"].to_pylist()] == words
    assert made["kinds"].to_pylist() == [[0, 0, 0], [0]]


def test_the_reference_context_has_no_user_and_neither_known_nor_unknown() -> None:
    names = [
        {"namespace": "surface", "value": "search", "rows": 5},
        {"namespace": "surface", "value": "promoted", "rows": 9},
        {"namespace": "user", "value": "u1", "rows": 3},
    ]
    day = date(2026, 1, 3)
    assert reference_ids(REGISTRY, names, {}, day) == {
        "surface": value_id("surface", "promoted"), "user": NONE,
    }  # fmt: skip
    given = reference_ids(REGISTRY, names, {"surface": "search"}, day)
    assert given["surface"] == value_id("surface", "search")


@pytest.mark.parametrize(
    ("namespaces", "message"),
    [
        ((*ALL, LISTING), "registered twice"),
        ((SURFACE, replace(USER, scope="visitor")), "unknown scope visitor"),
        ((replace(USER, unknown=-0.1),), "negative"),
        ((USER, replace(PAIR, inputs=("user", "shop"))), "shop is no earlier namespace of rows"),
        ((USER, replace(PAIR, inputs=("user",))), "two inputs or more"),
        ((TITLE,), "listing is no earlier namespace"),
        ((LISTING, replace(TITLE, prior=0.0)), "a content needs a prior"),
        ((replace(TITLE, of="row"),), "gives lists"),
        ((replace(USER, encoding="rate_band"),), "is history"),
        ((replace(USER, encoding="soundex"),), "unknown encoding soundex"),
        (
            (USER, replace(TITLE, scope="request", of="user", inputs=("query",))),
            "is made of user_id",
        ),
    ],
)
def test_a_registry_that_cannot_be_is_refused(
    namespaces: tuple[JointNamespace, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        JointRegistry(namespaces)


def test_a_price_is_told_over_the_mean_of_its_category_and_not_at_all_without_one() -> None:
    priced = pa.table(
        {
            "category": ["a", "a", "a", "b", "b", None],
            "price": [10.0, 30.0, None, 5.0, -1.0, 8.0],
        }
    )
    relative = with_relative_price(priced)["relative_price"].to_pylist()
    assert relative == [0.5, 1.5, None, 1.0, None, 1.0]


def test_shows_are_counted_by_day_of_each_window_and_are_0_of_what_was_never_shown() -> None:
    history = pa.table(
        {
            "entity_type": ["listing", "shop", "listing"],
            "entity_id": ["l1", "l2", "l3"],
            "search_impressions": [10, 99, 7],
            "promoted_impressions": [6, 99, 0],
        }
    )
    shown = with_shows_per_day(
        pa.table({"listing_id": ["l1", "l2"]}), history, search_days=5, promoted_days=3
    )
    assert shown["shows_per_day"].to_pylist() == [4.0, 0.0]

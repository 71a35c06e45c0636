"""Smoothed click ratios, keys of ids and dense inputs."""

from datetime import timedelta

import mmh3
import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.dense import dense_inputs, image_width
from pipelines.features.keys import id_keys
from pipelines.features.rates import Rates
from pipelines.features.text_basis import TextBasis
from tests.support.rows import DAY, DAY_NUMBER, arrow_rows, batch_of

SUMS = ("impressions", "clicks", "expected_micro")


def sums(entity, surface, impressions, clicks, expected):
    micro = [None if e is None else round(e * 1e6) for e in expected]
    given = zip(SUMS, (impressions, clicks, micro), strict=True)
    return {f"{entity}_{surface}_{what}": pa.array(v, pa.int64()) for what, v in given}


def test_a_listing_is_pulled_to_its_shop_and_the_shop_to_its_category():
    batch = batch_of(
        **sums("listing", "search", [10], [4], [2.0]),
        **sums("shop", "search", [50], [6], [5.0]),
        **sums("category", "search", [500], [30], [40.0]),
    )
    day = DAY_NUMBER
    rates = Rates(batch, {(day, "listing", "search"): 2.0, (day, "shop", "search"): 5.0,
                          (day, "category", "search"): 10.0})  # fmt: skip
    category = (30 + 10 * 1) / (40 + 10)
    shop = (6 + 5 * category) / (5 + 5)
    assert rates.ratio("listing", "search").tolist() == [(4 + 2 * shop) / (2 + 2)]


def test_both_surfaces_are_the_sum_of_each():
    batch = batch_of(
        **sums("user", "search", [10], [1], [2.0]), **sums("user", "promoted", [5], [2], [1.0])
    )
    strengths = {(DAY_NUMBER, "user", "both"): 3.0}
    assert Rates(batch, strengths).ratio("user", "both").tolist() == [(3 + 3) / (3 + 3)]


def test_what_was_never_seen_has_its_parent_s_ratio():
    batch = batch_of(
        **sums("listing", "search", [None], [None], [None]),
        **sums("shop", "search", [None], [None], [None]),
        **sums("category", "search", [90], [30], [10.0]),
    )
    rates = Rates(batch, {(DAY_NUMBER, "category", "search"): 5.0})
    assert rates.ratio("listing", "search") == pytest.approx([(30 + 5) / (10 + 5)], rel=1e-12)


def test_every_day_has_its_own_strength():
    batch = batch_of(
        **sums("query", "search", [10] * 3, [4] * 3, [2.0] * 3),
        ds=pa.array([DAY, DAY + timedelta(1), DAY], pa.date32()),
    )
    strengths = {(DAY_NUMBER, "query", "search"): 2.0, (DAY_NUMBER + 1, "query", "search"): 8.0}
    assert Rates(batch, strengths).ratio("query", "search").tolist() == [1.5, 1.2, 1.5]


def test_keys_are_two_hashes_side_by_side():
    (key,) = id_keys(pa.array(["listing-1"])).tolist()
    assert key >> 32 == mmh3.hash("high=listing-1", 42)
    assert key & 0xFFFFFFFF == mmh3.hash("low=listing-1", 42, signed=False)


def test_keys_of_many_ids_differ():
    keys = id_keys(pa.array([f"l{k}" for k in range(100_000)]))
    assert len(np.unique(keys)) == 100_000


BASIS = TextBasis.from_arrow(
    pa.table(
        {
            "term": ["blue", "mug"],
            "document_frequency": [2, 3],
            "idf": [1.0, 2.0],
            "loadings": pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32())),
        }
    ),
    singular_values=np.ones(2),
    documents=4,
)


def listings(*changes):
    return arrow_rows("listings", changes)


def test_text_comes_first_and_then_the_image():
    given = listings({"title": "mug", "tags": None, "image_vector": [0.5, -0.25, 1.0]})
    found = dense_inputs(given, BASIS, 5)
    assert found.dtype == np.float32
    assert found[0, 2:].tolist() == [0.5, -0.25, 1.0]
    assert np.flatnonzero(found[0, :2]).tolist() == [1]


def test_an_image_of_another_length_counts_as_none_and_broken_numbers_as_zero():
    images = [[1.0], None, [float("nan"), 2.0], [float("inf"), None], []]
    given = listings(*({"image_vector": image, "title": "?", "tags": None} for image in images))
    assert image_width(given) == 2
    expected = [[0, 0], [0, 0], [0, 2], [0, 0], [0, 0]]
    assert dense_inputs(given, None, 2).tolist() == expected


def test_the_most_frequent_length_of_an_image_is_that_of_all():
    images = [[1.0, 2.0], [3.0, 4.0, 5.0], [6.0, 7.0]]
    given = listings(*({"image_vector": image, "title": "?", "tags": None} for image in images))
    assert image_width(given) == 2
    assert dense_inputs(given, None, 2).tolist() == [[1, 2], [0, 0], [6, 7]]


def test_listings_of_unknown_words_have_zeros_and_no_listings_no_rows():
    assert dense_inputs(listings({"title": "zzz", "tags": None}), BASIS, 2).tolist() == [[0.0, 0.0]]
    assert dense_inputs(listings(), BASIS, 2).shape == (0, 2)
    assert image_width(listings({})) == 0


def test_a_slice_of_listings_has_the_dense_inputs_of_its_rows():
    given = listings(
        {"title": "blue", "image_vector": [1.0, 2.0]},
        {"title": "mug", "image_vector": [3.0, 4.0]},
        {"title": "mug", "image_vector": None},
    ).combine_chunks()
    whole = dense_inputs(given, BASIS, 4)
    sliced = given.to_batches()[0].slice(1, 2)
    assert (dense_inputs(sliced, BASIS, 4) == whole[1:]).all()

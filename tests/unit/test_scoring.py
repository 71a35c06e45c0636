"""What a listing's score says besides its probability, by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.assemble import Assembler
from pipelines.features.hashing import hash_token
from pipelines.features.registry import Namespace
from pipelines.models.listing_part import Models
from pipelines.models.stack import Stack
from pipelines.models.weights import Weights
from pipelines.scores.reference import Reference
from pipelines.scores.scoring import score_listings
from tests.support.rows import arrow_rows

NAMESPACES = (
    Namespace("shop", "historical", "listing", "identity", ("shop_id",)),
    Namespace("title", "content", "listing", "unigrams", ("title",)),
)
SUMS = [
    f"{entity}_{surface}_{what}"
    for entity in ("listing", "shop", "category")
    for surface in ("search", "promoted")
    for what in ("impressions", "clicks", "expected_micro")
]
SLOPES = {"historical_listing": 0.6, "content_listing": 0.5}
BY_EVIDENCE = {
    "historical_listing:log1p_impressions": 0.04,
    "content_listing:log1p_impressions": -0.03,
}


def learnt(**information):
    """A model whose features have seen so much information."""
    slots = {hash_token(*name.split("__")) & 1023: n for name, n in information.items()}
    order = np.array(sorted(slots), np.int32)
    n = np.array([slots[slot] for slot in order.tolist()])
    return Weights(10, 0, order, np.full(len(order), 0.1), n)


def stack_of(terms):
    fit = {"form": "full", "reason": None, "rows": 9, "clicks": 3}
    curve = [
        {"kind": "map", "name": f"shift.{name}", "value": None, "x": 0.0, "y": y}
        for name, y in (("a", 1.0), ("b", 1.0), ("c", 0.0))
    ]
    return Stack.from_rows([{"term": t, "weight": w, **fit} for t, w in terms.items()], curve)


def scored(impressions):
    """The scores of a listing shown so often on each surface, its models' prior precision 2."""
    rows = arrow_rows("listings", [{"title": "blue mug mug", "shop_id": "s1"}])
    for name in SUMS:
        value = impressions if name.endswith("impressions") else 0
        rows = rows.append_column(name, pa.array([value], pa.int64()))
    models = Models(learnt(shop__s1=8.0), learnt(title__mug=3.0), None)
    stack = stack_of({"intercept": -2.0, "cold_threshold": 5.0, **SLOPES, **BY_EVIDENCE})
    none = Reference({}, 0.0, 0.0)
    (table,) = score_listings(rows, Assembler(NAMESPACES, {}), models, stack, none, prior=2.0)
    (score,) = table.to_pylist()
    return score


@pytest.mark.parametrize("impressions", [0, 3, 500])
def test_the_standard_error_is_that_of_both_listing_parts_at_their_slopes(impressions):
    evidence = math.log1p(2 * impressions)
    # The shop has seen 8 and the prior 2; a word of the title nothing, and one, twice, 3.
    historical = (0.6 + 0.04 * evidence) ** 2 * (1 / 10)
    content = (0.5 - 0.03 * evidence) ** 2 * (1 / 2 + 1 / 5 + 1 / 5)
    score = scored(impressions)
    assert score["window_impressions"] == 2 * impressions
    assert score["standard_error"] == pytest.approx(math.sqrt(historical + content), rel=1e-12)


@pytest.mark.parametrize(("impressions", "segment"), [(2, "cold"), (3, "warm")])
def test_a_listing_below_the_threshold_is_cold(impressions, segment):
    assert scored(impressions)["segment"] == segment

"""A score taken apart says what was scored."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.assemble import Assembler
from pipelines.features.registry import Namespace
from pipelines.models.correction import STEPS, Correction
from pipelines.models.listing_part import Models
from pipelines.models.stack import Stack
from pipelines.models.weights import Weights
from pipelines.scores.explain import explain
from pipelines.scores.reference import Reference
from pipelines.scores.scoring import score_listings
from tests.support.rows import batch_of

NAMESPACES = (
    Namespace("title", "content", "listing", "unigrams", ("title",)),
    Namespace("category", "historical", "listing", "path_levels", ("category",)),
)
REFERENCE = Reference({"device": "mobile", "position": "6"}, 0.25, -0.5)
FACTORS = {
    "segment": {"cold": 0.9, "warm": 1.1},
    "shop": {"s1": 1.2, "": 0.7},
    "category": {"home": 0.8},
    "device": {"mobile": 1.05},
    "position_band": {"5-6": 0.95},
}


def weights(value):
    slots = np.arange(64, dtype=np.int32)
    return Weights(6, 0, slots, np.full(64, value), np.ones(64))


MODELS = Models(weights(0.1), weights(-0.2), None)


def stack(intercept, correction=()):
    terms = {
        "intercept": intercept, "historical_listing": 0.6, "content_listing": 0.5,
        "historical_context": 0.7, "content_context": 0.4, "cold_threshold": 5.0,
    }  # fmt: skip
    curve = [
        {"kind": "map", "name": f"beta.{n}", "value": None, "x": 0.0, "y": y}
        for n, y in (("a", 0.9), ("b", 1.2), ("c", -0.1))
    ]
    curve += [
        {"kind": "factor", "name": name, "value": value, "x": 10.0, "y": factor}
        for name, values in FACTORS.items()
        for value, factor in values.items()
    ]
    fit = {"form": "full", "reason": None, "rows": 9, "clicks": 3}
    ensemble = [{"term": t, "weight": w, **fit} for t, w in terms.items()]
    return Stack.from_rows(ensemble, curve, [row._asdict() for row in correction])


def listing(impressions=3, shop="s1", category="home > mugs"):
    sums = {
        f"{entity}_{surface}_{what}": pa.array([number], pa.int64())
        for entity in ("listing", "shop", "category")
        for surface in ("search", "promoted")
        for what, number in (("impressions", impressions), ("clicks", 3), ("expected_micro", 10**6))
    }
    return batch_of(
        listing_id=["l1"], title=["blue mug"], shop_id=pa.array([shop], pa.string()),
        category=pa.array([category], pa.string()),
        created_ts=pa.array([0], pa.timestamp("us", "UTC")), **sums,
    )  # fmt: skip


def explained_and_scored(intercept=-2.0, correction=(), **of_listing):
    row, assembler = listing(**of_listing), Assembler(NAMESPACES, {})
    given = stack(intercept, correction)
    made = explain(row, assembler, MODELS, given, REFERENCE)
    (scored,) = score_listings(
        pa.Table.from_batches([row]), assembler, MODELS, given, REFERENCE, 10.0
    )
    return made, scored.to_pylist()[0]


@pytest.mark.parametrize("impressions", [1, 40])
@pytest.mark.parametrize(
    ("shop", "category"), [("s1", "home > mugs"), ("s9", " home "), (None, None), ("s1", "toys")]
)
def test_the_steps_end_at_the_score_that_is_published(impressions, shop, category):
    made, scored = explained_and_scored(impressions=impressions, shop=shop, category=category)
    assert made.recomputed == scored["p_click"]
    assert made.p_ensemble == scored["p_ensemble"]
    assert made.listing_logit == pytest.approx(scored["logit"])
    assert made.segment == scored["segment"]
    product = made.calibrated
    for factor in made.factors:
        product *= factor.factor
    assert product == pytest.approx(scored["p_click"])


@pytest.mark.parametrize("step", list(STEPS))
def test_so_do_those_of_what_took_the_joint_model_s_place(step):
    made, scored = explained_and_scored(correction=Correction(-3.0, STEPS[step]).to_rows())
    assert made.recomputed == scored["p_click"]
    assert made.logit == pytest.approx(math.fsum(t.value * t.weight for t in made.terms))
    if step == "rates":
        assert made.logit == pytest.approx(-3.0 + math.log((3 + 10.0) / (1 + 10.0)))


@pytest.mark.parametrize(("intercept", "probability"), [(-1000.0, 0.0), (1000.0, 1.0)])
def test_a_logit_however_extreme_has_a_probability(intercept, probability):
    made, scored = explained_and_scored(intercept)
    assert made.p_ensemble == scored["p_ensemble"] == probability
    assert 0.0 < made.recomputed < 1.0

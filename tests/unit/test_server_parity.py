"""A server that adds a request's terms to a stored score gets what `predict_traffic` gives."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.features import feature_rows
from pipelines.features.assemble import Assembler
from pipelines.features.feature_rows import Names
from pipelines.features.hashing import hash_token
from pipelines.features.registry import of_scope
from pipelines.features.text_basis import TextBasis
from pipelines.models.fields import position_band
from pipelines.models.listing_part import Models
from pipelines.models.prediction import predict_traffic, score_listing_days
from pipelines.models.stack import Stack, ensemble_inputs, fields_of, is_cold
from pipelines.models.weights import Weights
from pipelines.samples.balanced import order_key
from pipelines.scores.reference import context_terms, reference_context
from pipelines.scores.scoring import score_listings
from tests.support.rows import DAY
from tests.support.stages import make_stages
from tests.support.traffic import WORDS, days_before, impressions, listings

BITS = 12
SHOWN = [row for day in days_before(4) for row in impressions(day, 200)]
KNOWN = [row for day in days_before(4) for row in listings(day)]
TODAY = {r["impression_id"]: r for r in SHOWN if r["ds"] == DAY}


def weights(seed, dense):
    """A weight for every slot, and for every dense column."""
    random = np.random.default_rng(seed)
    slot = np.arange(-dense, 1 << BITS, dtype=np.int32)
    values = random.normal(scale=0.2, size=len(slot))
    return Weights(BITS, dense, slot, values, np.ones(len(slot)))


BASIS = TextBasis.from_arrow(
    pa.table(
        {
            "term": sorted(WORDS),
            "document_frequency": [3] * 5,
            "idf": [1.0, 1.5, 2.0, 1.2, 1.7],
            "loadings": pa.array(
                np.random.default_rng(3).normal(size=(5, 2)).tolist(), pa.list_(pa.float32())
            ),
        }
    ),
    singular_values=np.ones(2),
    documents=8,
)
MODELS = Models(weights(1, 0), weights(2, 2), BASIS)
TERMS = {
    "intercept": -1.5, "historical_listing": 0.6, "content_listing": 0.5,
    "historical_context": 0.7, "content_context": 0.4, "is_cold": -0.2, "log1p_impressions": 0.05,
    "historical_listing:log1p_impressions": 0.04, "content_listing:log1p_impressions": -0.03,
    "cold_threshold": 72.0,
}  # fmt: skip
FACTORS = {
    "segment": {"cold": 0.9, "warm": 1.1}, "device": {"mobile": 1.2, "": 0.8},
    "position_band": {"1": 1.05, "3": 0.95}, "shop": {"s2": 1.3}, "category": {"home": 0.85},
    "surface": {"promoted": 1.01}, "country": {"DE": 0.97},
}  # fmt: skip
STACK = Stack.from_rows(
    [
        {"term": t, "weight": w, "form": "full", "reason": None, "rows": 9, "clicks": 3}
        for t, w in TERMS.items()
    ],
    [
        {"kind": "map", "name": f"beta.{n}", "value": None, "x": 0.0, "y": y}
        for n, y in (("a", 0.9), ("b", 1.2), ("c", -0.1))
    ]
    + [
        {"kind": "factor", "name": name, "value": value, "x": 10.0, "y": factor}
        for name, values in FACTORS.items()
        for value, factor in values.items()
    ],
)


RATES = {0: 0.2, 1: 0.3}
"""Of position 1, and of all."""


@pytest.fixture(scope="module")
def stages(config):
    return make_stages(config, SHOWN, KNOWN)


def without_joint(shown):
    """Predictions of a joint model that says nothing."""
    nothing = np.zeros(len(shown))
    keys = order_key(shown["impression_id"])
    return pa.table({"order_key": keys, "listing": nothing, "context": nothing})


def predict(stages, reference, of=MODELS, rates=RATES):
    models = replace(of, reference=reference.logits)
    shown = stages.labeled
    is_ours = pc.and_(shown["is_valid_traffic"], pc.equal(shown["surface"], "promoted"))
    made = predict_traffic(
        stages.context_rows(shown.filter(is_ours)),
        score_listing_days(stages.listing_rows, stages.assembler, models),
        stages.assembler,
        models,
        rates,
        without_joint(shown),
    )
    return pa.concat_tables(made).sort_by("order_key").combine_chunks()


def test_impressions_of_listings_in_no_snapshot_are_predicted_by_their_context(stages, reference):
    models = replace(MODELS, reference=reference.logits)
    shown = stages.labeled.filter(pc.equal(stages.labeled["surface"], "promoted"))
    none = score_listing_days(stages.listing_rows.slice(0, 0), stages.assembler, models)
    made = predict_traffic(
        stages.context_rows(shown), none, stages.assembler, models, RATES, without_joint(shown)
    )
    found = pa.concat_tables(made)
    assert len(found) == len(shown) > 0
    assert set(found["historical_listing"].to_pylist()) == {reference.historical}
    assert set(found["window_impressions"].to_pylist()) == {0}


@pytest.fixture(scope="module")
def names(stages):
    found = Names()
    for batch in stages.context_rows(stages.samples).combine_chunks().to_batches():
        found.add(stages.assembler.tokens(batch, "context"), batch)
    return found.table().to_pylist()


def referred(config, stages, names, of=MODELS):
    registry = stages.assembler.namespaces
    return reference_context(registry, names, config.scoring.reference, DAY, of)


@pytest.fixture(scope="module")
def reference(config, stages, names):
    return referred(config, stages, names)


@pytest.fixture(scope="module")
def predictions(stages, reference):
    return predict(stages, reference)


@pytest.fixture(scope="module")
def served(stages, names, reference):
    """The two tables that a server reads: scores by listing, and terms of requests."""
    registry = stages.assembler.namespaces
    scores = score_listings(
        stages.listing_rows,
        stages.assembler,
        MODELS,
        STACK,
        reference,
        prior=10.0,
    )
    terms = context_terms(registry, names, reference, MODELS, STACK.ensemble)
    return {row["listing_id"]: row for row in pa.concat_tables(scores).to_pylist()}, terms


def request_values(assembler: Assembler, context: pa.RecordBatch, row) -> list[tuple[str, str]]:
    """(namespace, value) of everything that a request brings for one listing."""
    found = []
    for name, tokens in assembler.tokens(context, "context").items():
        codes = tokens.codes if tokens.valid is None else tokens.codes[tokens.valid]
        found += [(name, tokens.labels[int(code)].as_py()) for code in codes]
    (listing,) = (r for r in KNOWN if (r["listing_id"], r["ds"]) == (row["listing_id"], DAY))
    held = {*listing["title"].split(), *(listing["tags"] or [])}
    asked = (row["query"] or "").split()
    for pair in of_scope(assembler.namespaces, "pair"):
        if asked:
            assert pair.encoding == "shared_word_count"
            shared = min(len(held & set(asked)), 3)
            found.append((pair.name, f"{shared}/{min(len(asked), 3)}"))
    return found


def published(logit, fields):
    """Map and factors by hand, of one row."""
    p = 1 / (1 + np.exp(-logit))
    calibrated = 0.9 * np.log(p) - 1.2 * np.log1p(-p) - 0.1
    p = whole = 1 / (1 + np.exp(-calibrated))
    for name, value in fields.items():
        whole *= FACTORS[name].get(value, 1.0)
    assert whole <= (1 + p) / 2
    return whole


def test_a_request_s_terms_added_to_a_score_are_the_prediction(stages, predictions, served):
    scores, terms = served
    added = {(t["namespace"], t["value"]): t["logit"] for t in terms if t["model"] == "ensemble"}
    cold = is_cold(predictions, STACK.cold_threshold)
    assert cold.any()
    assert not cold.all()
    logit = STACK.ensemble.logit(ensemble_inputs(predictions, STACK.cold_threshold))
    predicted = STACK.publish(logit, fields_of(predictions, tuple(FACTORS), cold))
    contexts = stages.context_rows(stages.labeled).combine_chunks()
    at = {i: k for k, i in enumerate(contexts["impression_id"].to_pylist())}
    rows = predictions.to_pylist()
    expected = [r for r in TODAY.values() if r["is_valid_traffic"] and r["surface"] == "promoted"]
    assert len(rows) == len(expected)
    for k, prediction in enumerate(rows):
        row = TODAY[prediction["impression_id"]]
        (context,) = contexts.slice(at[row["impression_id"]], 1).to_batches()
        score = scores[row["listing_id"]]
        values = request_values(stages.assembler, context, row)
        whole = score["logit"] + sum(added[value] for value in values)
        (listing,) = (r for r in KNOWN if (r["listing_id"], r["ds"]) == (row["listing_id"], DAY))
        fields = {
            "segment": score["segment"], "device": row["device"] or "", "surface": "promoted",
            "position_band": position_band(row["position"]), "shop": listing["shop_id"],
            "category": listing["category"].split(" > ")[0], "country": "DE",
        }  # fmt: skip
        assert published(whole, fields) == pytest.approx(predicted[k], rel=1e-12)


def test_a_published_score_is_the_request_at_the_reference(served):
    scores, terms = served
    context = sum(t["logit"] for t in terms if t["model"] == "ensemble" and t["is_reference"])
    values = {t["namespace"]: t["value"] for t in terms if t["is_reference"]}
    for score in scores.values():
        (listing,) = (r for r in KNOWN if (r["listing_id"], r["ds"]) == (score["listing_id"], DAY))
        assert score["p_ensemble"] == pytest.approx(1 / (1 + np.exp(-score["logit"] - context)))
        fields = {
            "segment": score["segment"], "device": values["device"], "surface": values["surface"],
            "position_band": values["position"], "shop": listing["shop_id"],
            "category": listing["category"].split(" > ")[0], "country": values["country"],
        }  # fmt: skip
        assert score["p_click"] == pytest.approx(published(score["logit"] + context, fields))


@pytest.mark.parametrize("size", [1, 50])
def test_predictions_have_the_same_bits_in_batches_of_any_size(
    stages, reference, predictions, size, monkeypatch
):
    monkeypatch.setattr(feature_rows, "_BATCH_ROWS", size)
    assert predict(stages, reference).equals(predictions)


def test_what_is_predicted_is_valid_promoted_traffic_with_its_labels(predictions):
    for row in predictions.to_pylist():
        shown = TODAY[row["impression_id"]]
        assert shown["is_valid_traffic"]
        assert row["clicked"] == shown["clicked"]
        assert 0 < row["p_baseline"] < 1
    assert len(set(predictions["order_key"].to_pylist())) == len(predictions)


def test_rows_of_a_user_share_a_key_and_without_one_those_of_a_page(stages, reference):
    keys = {}
    pages = pa.array([f"page {k % 20}" for k in range(len(stages.labeled))])
    at = stages.labeled.schema.get_field_index("request_id")
    of_pages = replace(stages, labeled=stages.labeled.set_column(at, "request_id", pages))
    shown = dict(zip(of_pages.labeled["impression_id"].to_pylist(), pages.to_pylist(), strict=True))
    for row in predict(of_pages, reference).to_pylist():
        identifier = row["impression_id"]
        who = TODAY[identifier]["user_id"] or shown[identifier]
        keys.setdefault(who, set()).add(row["user_key"])
    assert {"u1", "u2", "u3"} < set(keys)
    assert all(len(found) == 1 for found in keys.values())
    assert len(set.union(*keys.values())) == len(keys)


def test_the_baseline_is_a_listing_s_ratio_times_its_position_s_rate(predictions):
    ratios = {}
    for row in predictions.to_pylist():
        # Positions without a rate of their own have that of all.
        rate = RATES.get(TODAY[row["impression_id"]]["position"], RATES[0])
        ratios.setdefault(row["listing_id"], []).append(row["p_baseline"] / rate)
    for found in ratios.values():
        assert found == pytest.approx([found[0]] * len(found))


def test_the_baseline_stays_a_probability(stages, reference):
    for rate in (0.0, 50.0):
        found = predict(stages, reference, rates={0: rate})["p_baseline"].to_pylist()
        assert all(0.0 < p < 1.0 for p in found)


def test_what_all_requests_bring_counts_for_the_listings(config, stages, names, predictions):
    bias = hash_token("bias", "1") & ((1 << BITS) - 1)
    old = MODELS.historical
    raised = replace(old, weight=old.weight + 0.7 * (old.slot == bias))
    of = replace(MODELS, historical=raised)
    found = predict(stages, referred(config, stages, names, of), of=of)
    for part, change in (("listing", 0.7), ("context", 0.0)):
        moved = np.subtract(found[f"historical_{part}"], predictions[f"historical_{part}"])
        np.testing.assert_allclose(moved, change, atol=1e-12)


def test_a_listing_in_no_snapshot_brings_nothing_but_is_predicted(stages, reference):
    missing = replace(
        stages, listings=stages.listings.filter(pc.not_equal(stages.listings["listing_id"], "l3"))
    )
    found = predict(missing, reference)
    lost = [r for r in found.to_pylist() if r["listing_id"] == "l3"]
    assert lost
    assert {(r["historical_listing"], r["content_listing"], r["shop"]) for r in lost} == {
        (reference.historical, reference.content, None)
    }

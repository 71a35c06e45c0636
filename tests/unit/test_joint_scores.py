"""Scores and stored predictions of the joint model are the model's own, part by part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.id_rows import packed
from pipelines.features.ids import NONE, value_id
from pipelines.features.joint_columns import all_columns
from pipelines.features.joint_days import by_rows
from pipelines.features.joint_namespace import JointNamespace
from pipelines.features.joint_reference import reference_ids, reference_rows
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler
from pipelines.models.correction import Correction
from pipelines.models.joint import JointModel
from pipelines.models.joint_predictions import JointPredictor
from pipelines.models.joint_state import ContentKind, JointSpec, JointState, RowNamespace
from pipelines.models.joint_tables import to_contents, weight_table
from pipelines.scores.joint_scoring import JointWeights, score_joint_listings
from pipelines.scores.joint_terms import joint_terms
from tests.support.joint_rows import REGISTRY, SURFACE
from tests.support.rows import DAY

ASSEMBLER = JointAssembler(REGISTRY)
SPEC = JointSpec(
    tuple(RowNamespace(c.name, c.prior, c.learnt, c.walk) for c in REGISTRY.columns),
    tuple(ContentKind(c.name, c.of, c.prior) for c in REGISTRY.contents),
)
SHOWN, KNOWN = 30, 40
REFERENCE = {"surface": value_id("surface", "promoted"), "user": NONE}


def listings() -> pa.RecordBatch:
    """Forty, of which thirty are shown."""
    words = ["oak", "blue", "cup", "bowl", "lamp"]
    return pa.RecordBatch.from_pydict(
        {
            "listing_id": [f"l{k}" for k in range(KNOWN)],
            "category": [None if k % 7 == 0 else f"c{k % 3}" for k in range(KNOWN)],
            "title": [f"{words[k % 5]} {words[(k // 5) % 5]}" for k in range(KNOWN)],
            "tags": pa.array([[] for _ in range(KNOWN)], pa.list_(pa.string())),
        }
    )


def traffic(day: int, rows: int = 3_000) -> tuple[pa.RecordBatch, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([5, day])
    at, user = rng.integers(0, SHOWN, rows), rng.integers(-1, 60, rows)
    batch = pa.RecordBatch.from_pydict(
        {
            "surface": np.where(rng.random(rows) < 0.5, "promoted", "search"),
            "user_id": [None if u < 0 else f"u{u}" for u in user],
            "query": [f"{word} cup" for word in rng.choice(["oak", "red"], rows)],
            "listing_id": [f"l{k}" for k in at],
        }
    )
    logit = -1.5 + 0.8 * (at % 5 == 0) + 0.3 * (user % 4 == 0)
    return batch, at, rng.random(rows) < 1 / (1 + np.exp(-logit))


@dataclass
class Learnt:
    model: JointModel
    weights: JointWeights
    entities: pa.Table


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    """Five days, and the model on the morning after."""
    entities = ASSEMBLER.contents(listings(), "listing")
    contents = {"listing": to_contents(entities, "listing")}
    state = JointState.new(SPEC)
    for day in range(5):
        model = JointModel(SPEC, state, contents)
        batch, at, clicked = traffic(day)
        rows = all_columns(
            ASSEMBLER.registry, ASSEMBLER.values(batch, ASSEMBLER.listings(listings()), at)
        )
        model.learn(rows, clicked.astype(np.uint8), np.arange(len(at)))
        state = model.end(day)
    served = [column.name for column in REGISTRY.columns if column.is_served]
    prior = {row.name: state.posteriors[0].variance[k] for k, row in enumerate(SPEC.rows)}
    return Learnt(
        JointModel(SPEC, state, contents),
        JointWeights(weight_table(SPEC, state, served), prior),
        entities,
    )


def at_reference() -> np.ndarray:
    return reference_rows(REGISTRY, ASSEMBLER.listings(listings()), REFERENCE)


def test_a_listing_scores_as_the_model_says_at_the_reference_context(learnt: Learnt) -> None:
    scored = score_joint_listings(listings(), ASSEMBLER, learnt.weights, REFERENCE)
    index = learnt.model.index(at_reference())
    expected = learnt.model.sums(index, learnt.model.means(0))
    assert scored.logit == pytest.approx(expected, abs=1e-9)
    assert np.std(scored.logit[SHOWN:]) > 0.01
    assert sum(weight for weight, _ in scored.parts.values()) == pytest.approx(expected, abs=1e-9)


def test_what_the_request_has_is_told_apart_from_what_the_listing_brings(learnt: Learnt) -> None:
    scored = score_joint_listings(listings(), ASSEMBLER, learnt.weights, REFERENCE)
    means, variances = learnt.model.means(0), learnt.model.variances(0)
    index = learnt.model.index(at_reference())
    is_request = np.array([column.scope == "request" for column in REGISTRY.columns])
    assert scored.request == pytest.approx(learnt.model.sums(index[:1, is_request], means)[0])
    own = learnt.model.sums(np.ascontiguousarray(index[:, ~is_request]), variances)
    assert scored.variance[:SHOWN] == pytest.approx(own[:SHOWN])
    # Of a listing that was never shown nothing but the prior is known.
    assert (scored.variance[SHOWN:] > own[:SHOWN].max()).all()


def test_a_user_s_own_weights_are_not_among_those_of_listings(learnt: Learnt) -> None:
    names = set(learnt.weights.weights["namespace"].to_pylist())
    assert names == {
        "surface", "user_is_unknown", "listing", "category", "surface_x_category",
        "shared_words", "surface_x_shared_words", "title_word",
    }  # fmt: skip


def test_stored_parts_add_up_to_the_logit_of_the_row(learnt: Learnt) -> None:
    entities = learnt.entities.append_column("reference_ids", packed(at_reference()))
    predictor = JointPredictor(
        learnt.model, entities.to_batches(max_chunksize=7), SPEC.row_number("listing")
    )
    batch, at, _ = traffic(9, rows=200)
    rows = all_columns(
        ASSEMBLER.registry, ASSEMBLER.values(batch, ASSEMBLER.listings(listings()), at)
    )
    stored = pa.RecordBatch.from_pydict(
        {
            "order_key": np.arange(200), "surface": batch.column("surface"),
            "ids": packed(rows), "ds": np.zeros(200, np.int32),
        }
    )  # fmt: skip
    made = predictor.predict(stored)
    assert made["order_key"].to_pylist() == list(range(200))
    index = learnt.model.index(rows)
    logit = learnt.model.sums(index, learnt.model.means(0))
    parts = made["listing"].to_numpy(), made["context"].to_numpy()
    assert parts[0] + parts[1] == pytest.approx(logit, abs=1e-12)
    scores = learnt.model.sums(learnt.model.index(at_reference()), learnt.model.means(0))
    assert parts[0] == pytest.approx(scores[at], abs=1e-12)
    variance = learnt.model.sums(index, learnt.model.variances(0))
    assert made["variance"].to_numpy() == pytest.approx(variance)


def test_every_value_of_an_attribute_has_its_term_for_a_server() -> None:
    pattern = JointNamespace("attributes.*", "request", "identity", ("attributes.*",), 0.1)
    registry = JointRegistry((SURFACE, pattern), 0.1, {"request": ["channel"]})
    assembler = JointAssembler(registry)
    given = [[("channel", "app")], [("channel", "web")], None, [("channel", "app")]]
    batch = pa.RecordBatch.from_pydict(
        {
            "surface": ["promoted", "promoted", "search", "search"],
            "attributes": pa.array(given, pa.map_(pa.string(), pa.string())),
        }
    )
    values = by_rows([assembler.request_values(pa.Table.from_batches([batch]))])
    assert values["attributes.channel"] == ["app", "web"]
    nothing = pa.RecordBatch.from_pydict({"title": ["x"], "tags": [["x"]]})
    rows = all_columns(
        registry, assembler.values(batch, assembler.listings(nothing), np.zeros(4, np.int64))
    )
    names = [column.name for column in registry.columns]
    known = {
        (name, int(id)): 0.1 * (k + 1)
        for k, (name, id) in enumerate(
            sorted({(n, i) for row in rows.tolist() for n, i in zip(names, row, strict=True)})
        )
        if id != NONE
    }
    weights = pa.table(
        {
            "level": ["row"] * len(known),
            "namespace": [name for name, _ in known],
            "id": [id for _, id in known],
            "weight": list(known.values()),
            "variance": [0.0] * len(known),
        }
    )
    reference = reference_ids(registry, [], {"attributes.channel": "web"}, DAY)
    assert reference["attributes.channel"] == value_id("attributes.channel", "web")
    terms = joint_terms(
        registry,
        [{"namespace": name, "value": v} for name, own in values.items() for v in own],
        {}, reference, JointWeights(weights, {}), [], Correction(),
    )  # fmt: skip
    added = {(t["namespace"], t["value"]): t["logit"] for t in terms if t["model"] == "joint"}
    for row, surface, channel in zip(
        rows.tolist(), batch.column("surface").to_pylist(), ["app", "web", None, "app"], strict=True
    ):
        expected = sum(known[n, i] for n, i in zip(names, row, strict=True) if i != NONE)
        brought = [("surface", surface)]
        if channel is not None:
            brought.append(("attributes.channel", channel))
            brought.append(("surface_x_attributes.channel", f"{surface}|{channel}"))
        assert sum(added[value] for value in brought) == pytest.approx(expected)
    at_reference = {t["value"] for t in terms if t["is_reference"]}
    assert "web" in at_reference
    assert "app" not in at_reference

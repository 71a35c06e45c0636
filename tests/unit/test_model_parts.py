"""Weights as they travel, fields, the stack, the listing part and the reference context."""

import pickle
from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.assemble import Assembler, explain_listing
from pipelines.features.hashing import hash_token
from pipelines.features.registry import Namespace
from pipelines.features.text_basis import TextBasis
from pipelines.models.calibration_map import CalibrationRow
from pipelines.models.ensemble import Ensemble, EnsembleRow
from pipelines.models.fields import coded, position_band, position_bands, segment_field, top_levels
from pipelines.models.listing_part import Models, evidence, listing_part, smoothed_ratio, variances
from pipelines.models.stack import Stack, ensemble_inputs, fields_of, is_cold
from pipelines.models.weights import Weights
from pipelines.samples.balanced import non_click_rate
from pipelines.scores.reference import context_terms, reference_context
from schemas.catalog import TABLES
from tests.support.rows import batch_of

BITS = 10
WEIGHT_ROWS = pa.table(
    {
        "model": ["content", "historical", "content", "content"],
        "slot": pa.array([5, 5, -2, -1], pa.int32()),
        "weight": [0.5, 9.0, 0.2, 0.1],
        "z": [0.0] * 4,
        "n": [4.0, 1.0, 2.0, 1.0],
    }
)


def weights_of(named, bits=BITS):
    """Weights by (namespace, value)."""
    slots = {hash_token(*key) & ((1 << bits) - 1): value for key, value in named.items()}
    assert len(slots) == len(named)
    order = sorted(slots)
    values = np.array([slots[s] for s in order])
    return Weights(bits, 0, np.array(order, np.int32), values, np.ones(len(order)))


class TestWeights:
    def test_rows_of_a_model_become_its_table_and_its_dense_weights(self):
        content = Weights.from_arrow(WEIGHT_ROWS, model="content", bits=3, dense=3)
        assert content.table.tolist() == [0, 0, 0, 0, 0, 0.5, 0, 0]
        assert content.information[5] == 4.0
        assert content.dense_weights.tolist() == [0.1, 0.2, 0.0]

    def test_only_what_was_learnt_travels(self):
        weights = Weights.from_arrow(WEIGHT_ROWS, model="content", bits=20, dense=3)
        assert weights.table.nbytes == 8 << 20
        sent = pickle.dumps(weights)
        assert len(sent) < 2000
        assert (pickle.loads(sent).table == weights.table).all()

    def test_a_feature_is_found_by_name_under_the_mask(self):
        assert weights_of({("title", "mug"): 0.25}).of("title", "mug") == 0.25
        assert weights_of({("title", "mug"): 0.25}).of("tag", "mug") == 0.0


class TestFields:
    def test_positions_are_single_up_to_four_and_then_widen(self):
        edges = [1, 4, 5, 6, 7, 12, 13, 24, 25, 48, 49]
        names = ["1", "4", "5-6", "5-6", "7-12", "7-12", "13-24", "13-24", "25-48", "25-48", "49+"]
        assert position_bands(pa.array(edges, pa.int32())).to_pylist() == names
        assert [position_band(p) for p in edges] == names

    def test_an_unknown_value_is_the_empty_name(self):
        codes, names = coded(pa.chunked_array([["a", None], ["b", "a"]]))
        assert [names[c] for c in codes] == ["a", "", "b", "a"]

    def test_the_top_level_of_a_path_stands_without_blanks_and_null_stays_null(self):
        paths = pa.array(["a > b > c", " a ", "", None])
        assert top_levels(paths).to_pylist() == ["a", "a", "", None]

    def test_segments_are_named(self):
        codes, names = segment_field(np.array([True, False]))
        assert [names[c] for c in codes] == ["cold", "warm"]


def ensemble_rows(**weights):
    rows = [(term.replace("__", ":"), value) for term, value in weights.items()]
    return [
        {"term": t, "weight": w, "form": "full", "reason": None, "rows": 9, "clicks": 3}
        for t, w in [*rows, ("cold_threshold", 5.0)]
    ]


CURVE = [
    {"kind": "map", "name": f"platt.{n}", "value": None, "x": 0.0, "y": y}
    for n, y in (("a", 1.1), ("b", 1.1), ("c", -0.3))
] + [{"kind": "factor", "name": "device", "value": "mobile", "x": 10.0, "y": 1.5}]


class TestStack:
    def test_a_probability_is_map_of_logit_times_factor(self):
        rows = ensemble_rows(intercept=-1.0, historical_listing=1.0, content_listing=0.5)
        stack = Stack.from_rows(rows, CURVE)
        p = stack.publish(np.array([-2.0, -2.0]), {"device": coded(pa.array(["mobile", "tv"]))})
        base = 1 / (1 + np.exp(2.0 * 1.1 + 0.3))
        assert p == pytest.approx([1.5 * base, base], rel=1e-12)

    def test_cold_is_below_the_threshold_for_the_segment_and_for_the_ensemble(self):
        impressions = [0, 4, 5, 6]
        none = dict.fromkeys(
            ("historical_listing", "content_listing", "shop_window_impressions", "age_days"),
            [0.0] * len(impressions),
        )
        table = pa.table({"window_impressions": impressions, **none})
        stack = Stack.from_rows(ensemble_rows(intercept=0.0), CURVE)
        assert stack.cold_threshold == 5
        assert is_cold(table, stack.cold_threshold).tolist() == [True, True, False, False]
        inputs = ensemble_inputs(table, stack.cold_threshold, context=False)
        assert inputs.is_cold.tolist() == [1.0, 1.0, 0.0, 0.0]

    def test_the_ensemble_and_the_segment_agree_on_who_is_cold(self):
        size = 3
        table = pa.table(
            {
                "window_impressions": [4, 5, 6],
                **{
                    name: [0.0] * size
                    for name in ("historical_listing", "content_listing",
                                 "shop_window_impressions", "age_days")
                },
            }
        )  # fmt: skip
        inputs = ensemble_inputs(table, 5, context=False)
        assert inputs.is_cold.tolist() == is_cold(table, 5).tolist() == [True, False, False]

    def test_unknown_evidence_counts_as_none(self):
        table = pa.table(
            {
                "historical_listing": [0.1], "content_listing": [0.2], "window_impressions": [7],
                "shop_window_impressions": [0], "age_days": pa.array([None], pa.float64()),
            }
        )  # fmt: skip
        inputs = ensemble_inputs(table, 5, context=False)
        assert inputs.log1p_age_days.tolist() == [0.0]
        assert inputs.log1p_impressions.tolist() == [np.log1p(7)]
        assert (inputs.is_cold.tolist(), inputs.historical_context) == ([0.0], None)

    def test_the_fields_asked_for_are_numbered(self):
        table = pa.table({"device": ["a", "b"]})
        found = fields_of(table, ["segment", "device"], np.array([True, False]))
        assert list(found) == ["segment", "device"]


NAMESPACES = (
    Namespace("title", "content", "listing", "unigrams", ("title",)),
    Namespace("rate", "historical", "listing", "rate_band", ("listing.promoted",)),
    Namespace("bias", "both", "context", "constant", ()),
    Namespace("device", "both", "context", "identity", ("device",)),
    Namespace("position", "content", "context", "number", ("position",)),
    Namespace("device_position", "both", "context", "cross", ("device", "position")),
    Namespace("weekday", "both", "context", "weekday", ("ds",)),
    Namespace("match", "both", "pair", "shared_word_count", ("query", "title", "tags")),
)


def listings(**columns):
    size = len(columns["title"])
    sums = {
        f"{entity}_{surface}_{what}": pa.array([value] * size, pa.int64())
        for entity in ("listing", "shop", "category")
        for surface in ("search", "promoted")
        for what, value in (("impressions", 3), ("clicks", 1), ("expected_micro", 500_000))
    }
    return batch_of(**(sums | columns))


class TestListingPart:
    def test_it_is_the_sum_of_the_listing_s_weights(self):
        assembler = Assembler(NAMESPACES, {})
        batch = listings(title=["blue mug", None, "mug mug"])
        content = weights_of({("title", "mug"): 0.25, ("title", "blue"): -1.0})
        (rate,) = [v for m, ns, v, _ in explain_listing(NAMESPACES, batch.slice(1, 1), {})]
        models = Models(weights_of({("rate", rate): 0.75}), content, None)
        part = listing_part(assembler, batch, models)
        assert part.content.tolist() == [-0.75, 0.0, 0.5]
        assert part.historical.tolist() == [0.75] * 3
        historical, content_variance = variances(part, models, prior=1.0)
        assert historical.tolist() == [0.5] * 3
        assert content_variance.tolist() == [1.0, 0.0, 1.0]

    def test_the_text_of_a_listing_counts_by_its_dense_weights(self):
        basis = TextBasis.from_arrow(
            pa.table(
                {
                    "term": ["blue", "mug"], "document_frequency": [1, 1], "idf": [1.0, 1.0],
                    "loadings": pa.array([[1.0, 0.0], [0.0, 0.5]], pa.list_(pa.float32())),
                }
            ),
            singular_values=[1.0, 1.0],
            documents=2,
        )  # fmt: skip
        content = Weights(BITS, 2, np.array([-2, -1], np.int32), np.array([4.0, 3.0]), np.ones(2))
        batch = listings(
            title=["blue", "mug", None], tags=pa.nulls(3, pa.list_(pa.string())),
            image_vector=pa.nulls(3, pa.list_(pa.float32())),
        )  # fmt: skip
        models = Models(weights_of({}), content, basis)
        part = listing_part(Assembler(NAMESPACES, {}), batch, models)
        assert part.content.tolist() == [3.0, 2.0, 0.0]

    def test_evidence_counts_both_surfaces_and_keeps_unknown_ages_unknown(self):
        created = pa.array([None, 0], pa.timestamp("us", "UTC"))
        found = evidence(Assembler(NAMESPACES, {}), listings(title=["a", "b"], created_ts=created))
        assert found["window_impressions"].to_pylist() == [6, 6]
        assert found["age_days"].null_count == 1

    def test_the_baseline_is_pulled_to_one_by_the_default_strength(self):
        ratio = smoothed_ratio(Assembler(NAMESPACES, {}), listings(title=["a"]))
        assert ratio.tolist() == [(1 + 10.0) / (0.5 + 10.0)]


def name_row(namespace, value, rows):
    return {"namespace": namespace, "value": value, "rows": rows}


NAMES = [
    name_row("bias", "1", 10), name_row("device", "tv", 3), name_row("device", "mobile", 5),
    name_row("device", "phone", 5), name_row("position", "2", 9), name_row("weekday", "2", 10),
]  # fmt: skip
CONTEXT = {
    ("bias", "1"): -3.0, ("device", "mobile"): 0.5, ("position", "1"): 0.25,
    ("device_position", "mobile|1"): 0.125, ("match", "1/2"): 1.0, ("weekday", "3"): 0.0625,
}  # fmt: skip


class TestReference:
    models = Models(weights_of(CONTEXT), weights_of(CONTEXT), None)
    day = date(2026, 2, 10)  # a Tuesday

    def reference(self, **given):
        return reference_context(NAMESPACES, NAMES, given, self.day, self.models)

    def test_given_wins_then_the_most_frequent_and_a_cross_follows_its_parts(self):
        values = self.reference(position="1").values
        assert values == {
            "bias": "1", "device": "mobile", "position": "1", "device_position": "mobile|1",
            "weekday": "3",
        }  # fmt: skip

    def test_it_adds_the_weights_of_the_namespaces_that_a_model_has(self):
        found = self.reference(position="1")
        assert found.content == -3.0 + 0.5 + 0.25 + 0.125 + 0.0625
        assert found.historical == found.content - 0.25

    def test_what_the_day_never_showed_has_no_reference(self):
        bare = reference_context(NAMESPACES, [], {}, self.day, self.models)
        assert set(bare.values) == {"weekday"}

    def test_fields_are_taken_from_it(self):
        reference = self.reference(position="9")
        assert reference.field("position_band") == "7-12"
        assert reference.field("device") == "mobile"
        assert reference.field("country") == ""

    def test_terms_hold_every_value_and_mark_the_reference(self):
        ensemble = Ensemble(
            {"intercept": 0.0, "historical_context": 2.0, "content_context": 4.0}, "two_slopes",
            None, 1, 1,
        )  # fmt: skip
        rows = context_terms(NAMESPACES, NAMES, self.reference(position="1"), self.models, ensemble)
        logits = {(r["model"], r["namespace"], r["value"]): r["logit"] for r in rows}
        assert len(logits) == len(rows)
        assert logits["ensemble", "device", "mobile"] == 0.5 * 6
        assert logits["ensemble", "position", "1"] == 0.25 * 4
        assert logits["ensemble", "match", "1/2"] == 6.0
        assert logits["content", "device", "phone"] == 0.0
        marked = {(r["namespace"], r["value"]) for r in rows if r["is_reference"]}
        assert marked == set(self.reference(position="1").values.items())


@pytest.mark.parametrize(
    ("impressions", "clicks", "ratio", "rate"),
    [(1100, 100, 1.0, 0.1), (1100, 100, 5.0, 0.5), (150, 100, 1.0, 1.0), (10, 10, 1.0, 1.0),
     (100, 0, 5.0, 0.05), (0, 0, 1.0, 1.0)],
)  # fmt: skip
def test_non_clicks_are_kept_by_the_ratio_and_never_more_than_all(impressions, clicks, ratio, rate):
    assert non_click_rate(impressions, clicks, ratio=ratio) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("rows", "table"), [(CalibrationRow, "calibration_maps"), (EnsembleRow, "ensemble_weights")]
)
def test_what_is_fitted_gives_the_columns_of_its_table(rows, table):
    assert (*rows._fields, "ds") == TABLES[table].column_names

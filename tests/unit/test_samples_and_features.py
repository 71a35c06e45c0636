"""What is sampled, what a packed row holds, and that a day's clicks are not in its own features."""

from datetime import timedelta

import pyarrow as pa
import pytest

from pipelines.features import feature_rows
from pipelines.features.feature_rows import Names, assemble_listings, build_features, request_rows
from pipelines.features.hashing import hash_token
from pipelines.features.rows import SlotRows
from pipelines.samples.balanced import sample_training
from tests.support.rows import DAY, arrow_rows
from tests.support.stages import make_stages
from tests.support.traffic import days_before, impressions, listings

BEFORE = [row for day in days_before(3, DAY - timedelta(days=1)) for row in impressions(day, 150)]
KNOWN = [row for day in days_before(4) for row in listings(day, 7)]  # l7 is in no snapshot


@pytest.fixture(scope="module")
def stages(config):
    return make_stages(config, [*BEFORE, *impressions(DAY, 120)], KNOWN)


def features_of(stages, samples=None, names=None):
    rows = assemble_listings(stages.listing_rows, stages.assembler, names)
    contexts = stages.context_rows(stages.samples if samples is None else samples)
    return build_features(contexts, rows, stages.assembler, names)


@pytest.fixture(scope="module")
def features(stages):
    return features_of(stages).to_pylist()


RATES = {"search": 0.2, "promoted": 0.6}


class TestSampling:
    shown = impressions(DAY, 3000)

    def sample(self, files=1, salt="a"):
        parts = [arrow_rows("labeled_impressions", self.shown[at::files]) for at in range(files)]
        made = pa.concat_tables(sample_training(part, RATES, salt=salt) for part in parts)
        return sorted(made.to_pylist(), key=lambda r: r["impression_id"])

    def test_all_clicks_and_a_share_of_the_rest_in_any_parts(self):
        found = self.sample()
        assert all(self.sample(files) == found for files in (2, 7))
        valid = {r["impression_id"]: r for r in self.shown if r["is_valid_traffic"]}
        kept = {r["impression_id"]: r for r in found}
        assert len(kept) == len(found)
        assert set(kept) <= set(valid)
        assert {i for i, r in valid.items() if r["clicked"]} <= set(kept)
        for surface, rate in RATES.items():
            non_clicks = [
                i for i, r in valid.items() if r["surface"] == surface and not r["clicked"]
            ]
            assert sum(i in kept for i in non_clicks) / len(non_clicks) == pytest.approx(
                rate, abs=0.04
            )
            assert {r["sampling_rate"] for r in found if r["surface"] == surface} == {rate}
        assert len({r["order_key"] for r in found}) == len(found)

    def test_another_salt_draws_another_sample_in_the_same_order(self):
        first, second = self.sample(), self.sample(salt="b")
        keys = [{r["impression_id"]: r["order_key"] for r in s} for s in (first, second)]
        both = set(keys[0]) & set(keys[1])
        assert set(keys[0]) != set(keys[1])
        assert all(keys[0][i] == keys[1][i] for i in both)


def test_a_day_s_clicks_are_not_in_its_own_history_priors_or_features(config, stages, features):
    other = make_stages(config, [*BEFORE, *impressions(DAY, 120, clicks_seed=1)], KNOWN)
    assert other.history_rows == stages.history_rows
    assert any(row["promoted_clicks"] for row in stages.history_rows)
    assert other.assembler.strengths == stages.assembler.strengths
    again = features_of(other).to_pylist()
    assert [r["clicked"] for r in again] != [r["clicked"] for r in features]
    assert [r | {"clicked": None} for r in again] == [r | {"clicked": None} for r in features]


def test_clicks_of_the_day_before_are_in_the_history(config, stages):
    yesterday = DAY - timedelta(days=1)
    changed = [r for r in BEFORE if r["ds"] != yesterday] + impressions(
        yesterday, 150, clicks_seed=1
    )
    other = make_stages(config, [*changed, *impressions(DAY, 120)], KNOWN)
    assert other.history_rows != stages.history_rows


def test_a_packed_row_is_that_of_its_impression_alone(stages, features):
    assembler = stages.assembler
    listing_rows = stages.listing_rows.combine_chunks()
    contexts = stages.context_rows(stages.samples).combine_chunks()
    at = {listing: k for k, listing in enumerate(listing_rows["listing_id"].to_pylist())}
    packed = {row["impression_id"]: row for row in features}
    assert len(packed) == len(contexts)
    unknown = 0
    for k in range(0, len(contexts), 5):
        context = contexts.slice(k, 1)
        where = at.get(context["listing_id"][0].as_py())
        listing = listing_rows.slice(where or 0, 1 if where is not None else 0).to_batches()
        words, own = None, {"historical": [], "content": []}
        if where is None:
            unknown += 1
        else:
            (batch,) = listing
            rows = assembler.rows(assembler.tokens(batch, "listing"), "listing")
            own = {model: [slots] for model, slots in rows.items()}
            words = assembler.word_rows(batch, "title", "tags").to_binary()[0].as_py()
        with_words = context.append_column("words", pa.array([words], pa.binary()))
        requested = request_rows(assembler, with_words.to_batches()[0])
        row = packed[context["impression_id"][0].as_py()]
        for model, parts in requested.items():
            alone = SlotRows.concatenate([*own[model], *parts]).to_binary()[0].as_py()
            assert row[f"{model}_slots"] == alone
    assert unknown


def test_a_packed_row_holds_the_hashes_of_its_values(features):
    shown = {r["impression_id"]: r for r in impressions(DAY, 120)}
    for row in features[:20]:
        slots = set(memoryview(row["content_slots"]).cast("i").tolist())
        impression = shown[row["impression_id"]]
        assert hash_token("surface", impression["surface"]) in slots
        assert hash_token("position", str(impression["position"])) in slots
        if impression["device"]:
            assert hash_token("device", impression["device"]) in slots


def test_rows_are_in_training_order_and_the_same_in_batches_of_any_size(
    stages, features, monkeypatch
):
    keys = [row["order_key"] for row in features]
    assert keys == sorted(keys)
    for size in (1, 7, 64):
        monkeypatch.setattr(feature_rows, "_BATCH_ROWS", size)
        order = pa.array(range(len(stages.samples) - 1, -1, -1))
        assert features_of(stages, stages.samples.take(order)).to_pylist() == features


def test_a_day_without_samples_has_no_features_but_names_of_its_listings(stages):
    names = Names()
    assert len(features_of(stages, stages.samples.slice(0, 0), names)) == 0
    assert "category" in names.table()["namespace"].to_pylist()


def test_every_name_is_the_value_of_its_slot_once_a_day(stages, monkeypatch):
    monkeypatch.setattr(feature_rows, "_BATCH_ROWS", 50)
    names = Names()
    features_of(stages, names=names)
    rows = names.table().to_pylist()
    named = {(r["namespace"], r["value"]): r for r in rows}
    assert len(named) == len(rows)
    assert all(r["slot"] == hash_token(*key) for key, r in named.items())
    assert named["surface", "search"]["rows"] + named["surface", "promoted"]["rows"] == len(
        stages.samples
    )

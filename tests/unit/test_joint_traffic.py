"""A day of traffic as rows of the joint model."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from jobs.planning.joint_inputs import joint_registry
from pipelines.features import feature_rows
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import LearntShare, joint_rows, listing_rows, with_rate
from tests.support.rows import DAY
from tests.support.stages import make_stages
from tests.support.traffic import days_before, impressions, listings


@pytest.fixture(scope="module")
def stages(config):
    shown = [row for day in days_before(4) for row in impressions(day, 200)]
    known = [row for day in days_before(4) for row in listings(day)]
    return make_stages(config, shown, known)


def with_rates(share, traffic):
    clicks = pc.sum(traffic["clicked"]).as_py()
    return with_rate(traffic, share.rate(len(traffic), clicks))


def made(config, stages):
    snapshot = with_shows_per_day(
        with_relative_price(stages.listing_rows),
        pa.table({"entity_type": ["shop"], "entity_id": ["s"], "search_impressions": [1],
                  "promoted_impressions": [1]}),
        search_days=3, promoted_days=3,
    )  # fmt: skip
    own = stages.labeled.filter(pa.compute.equal(stages.labeled["ds"], DAY))
    assembler = JointAssembler(joint_registry(config))
    of_listings = listing_rows(snapshot, assembler, {}, DAY)
    listed = pa.concat_tables(rows for name, rows in of_listings if name == "joint_listings")
    return pa.concat_tables(joint_rows(with_rate(own, 1.0), listed, assembler))


def test_a_day_s_rows_are_one_piece_in_learning_order_whatever_the_batches(
    config, stages, monkeypatch
):
    whole = made(config, stages)
    monkeypatch.setattr(feature_rows, "_BATCH_ROWS", 7)
    rows = made(config, stages)
    keys = rows["order_key"].to_pylist()
    assert len(keys) > 7
    assert keys == sorted(set(keys))
    assert rows.equals(whole)


@pytest.fixture(scope="module")
def traffic():
    count = 20_000
    rng = np.random.default_rng(3)
    return pa.table(
        {
            "impression_id": [f"i{k}" for k in range(count)],
            "surface": np.where(rng.random(count) < 0.4, "promoted", "search"),
            "clicked": rng.random(count) < 0.02,
        }
    )


def test_a_day_of_the_stated_size_is_learnt_whole(traffic):
    rated = with_rates(LearntShare(whole_rows=20_000, ratio=1.0), traffic)
    assert rated["sampling_rate"].to_pylist() == [1.0] * 20_000


@pytest.mark.parametrize(("whole_rows", "ratio", "about"), [(5_000, 1.0, 5_000), (0, 4.0, 2_000)])
def test_of_a_larger_day_all_clicks_and_so_many_rows_are_learnt(traffic, whole_rows, ratio, about):
    rated = with_rates(LearntShare(whole_rows, ratio), traffic)
    learnt = rated.filter(pc.is_valid(rated["sampling_rate"]))
    clicks = pc.sum(traffic["clicked"]).as_py()
    assert pc.sum(learnt["clicked"]).as_py() == clicks
    assert len(learnt) == pytest.approx(about, rel=0.05)
    (rate,) = set(learnt["sampling_rate"].to_pylist())
    assert (len(learnt) - clicks) / rate == pytest.approx(20_000 - clicks, rel=0.05)


def test_every_promoted_row_is_there_to_be_predicted(traffic):
    rated = with_rates(LearntShare(1_000, 1.0), traffic)
    shown = traffic.filter(pc.equal(traffic["surface"], "promoted"))
    predicted = rated.filter(pc.equal(rated["surface"], "promoted"))
    assert predicted["impression_id"].equals(shown["impression_id"])
    search = rated.filter(pc.equal(rated["surface"], "search"))
    assert search["sampling_rate"].null_count == 0


def test_the_same_rows_are_drawn_in_any_order(traffic):
    share = LearntShare(1_000, 1.0)
    backwards = traffic.take(np.arange(len(traffic))[::-1])
    one, other = (
        with_rates(share, rows).sort_by("impression_id").combine_chunks()
        for rows in (traffic, backwards)
    )
    assert one.equals(other)


@pytest.mark.parametrize(("days", "expected"), [((0, 0), [None, None]), ((2, 0), [2.0, 0.0])])
def test_shows_are_unknown_where_no_day_was_counted_and_0_where_none_was_shown(days, expected):
    history = pa.table({"entity_type": ["listing"], "entity_id": ["a"], "search_impressions": [4],
                        "promoted_impressions": [0]})  # fmt: skip
    told = with_shows_per_day(
        pa.table({"listing_id": ["a", "b"]}), history, search_days=days[0], promoted_days=days[1]
    )
    assert told["shows_per_day"].to_pylist() == expected

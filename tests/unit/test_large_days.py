"""Of a day that is too large to be learnt whole a sample is learnt, and all of it predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow.compute as pc
import pytest

from tests.support.chain import Chain
from tests.support.world import World, day

FIRST, LAST = day(1), day(3)


@pytest.fixture(scope="module")
def sampled(marketplace: World, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Three days of which a part is learnt."""
    whole = Chain(tmp_path_factory.mktemp("large") / "warehouse", marketplace.landing)
    chain = replace(whole, settings=(*whole.settings, "joint.whole_rows=0", "joint.ratio=1"))
    chain.make("train_joint", LAST)
    return chain


def test_clicks_and_so_many_non_clicks_are_learnt(sampled: Chain) -> None:
    rows = sampled.tables.read_arrow("joint_rows")
    run = sampled.tables.read_arrow("joint_runs", [LAST]).to_pylist()[0]
    labeled = sampled.tables.read_arrow("labeled_impressions")
    clicks = pc.sum(pc.and_(labeled["clicked"], labeled["is_valid_traffic"])).as_py()
    assert run["clicks"] == clicks
    assert run["rows"] == len(rows) - rows["sampling_rate"].null_count
    assert run["rows"] == pytest.approx(2 * clicks, rel=0.15)


def test_every_promoted_impression_is_predicted_at_the_rate_of_the_whole_day(
    sampled: Chain,
) -> None:
    labeled = sampled.tables.read_arrow("labeled_impressions", [LAST])
    shown = labeled.filter(
        pc.and_(labeled["is_valid_traffic"], pc.equal(labeled["surface"], "promoted"))
    )
    predicted = sampled.tables.read_arrow("joint_predictions", [LAST])
    logit = predicted["listing"].to_numpy() + predicted["context"].to_numpy()
    assert len(predicted) == len(shown)
    promised = np.mean(1.0 / (1.0 + np.exp(-logit)))
    before = sampled.tables.read_arrow("labeled_impressions", [FIRST])
    # Without the offset of the sample the promise would be some three times as high.
    assert promised == pytest.approx(np.mean(np.asarray(before["clicked"])), rel=0.6)

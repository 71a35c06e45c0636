"""A day of traffic as rows of the joint model."""

import pyarrow as pa
import pytest

from jobs.planning.joint_inputs import joint_registry
from pipelines.features import feature_rows
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import build_joint_day
from tests.support.rows import DAY
from tests.support.stages import make_stages
from tests.support.traffic import days_before, impressions, listings


@pytest.fixture(scope="module")
def stages(config):
    shown = [row for day in days_before(4) for row in impressions(day, 200)]
    known = [row for day in days_before(4) for row in listings(day)]
    return make_stages(config, shown, known)


def made(config, stages):
    snapshot = with_shows_per_day(
        with_relative_price(stages.listing_rows),
        pa.table({"entity_type": ["shop"], "entity_id": ["s"], "search_impressions": [1],
                  "promoted_impressions": [1]}),
        search_days=3, promoted_days=3,
    )  # fmt: skip
    own = stages.labeled.filter(pa.compute.equal(stages.labeled["ds"], DAY))
    assembler = JointAssembler(joint_registry(config))
    return list(build_joint_day(own, snapshot, assembler, {}))


def test_a_day_s_rows_are_one_piece_in_learning_order_whatever_the_batches(
    config, stages, monkeypatch
):
    whole = made(config, stages)
    monkeypatch.setattr(feature_rows, "_BATCH_ROWS", 7)
    parts = made(config, stages)
    (rows,) = [table for name, table in parts if name == "joint_rows"]
    keys = rows["order_key"].to_pylist()
    assert len(keys) > 7
    assert keys == sorted(set(keys))
    assert rows.equals(next(table for name, table in whole if name == "joint_rows"))

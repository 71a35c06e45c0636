"""A day of the joint model that is made again comes out as it was."""

from __future__ import annotations

import importlib

import pyarrow as pa
import pytest

from jobs.landing.sources import Source
from jobs.step import Step
from tests.support.chain import Chain
from tests.support.world import World, day

TABLES = {
    "joint_weights": ("level", "namespace", "id"),
    "joint_predictions": ("order_key",),
    "joint_priors": ("scale", "level", "namespace"),
    "joint_runs": ("scale",),
}


@pytest.fixture(scope="module")
def chain(marketplace: World, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    made = Chain(tmp_path_factory.mktemp("days") / "warehouse", marketplace.landing)
    made.make("train_joint", day(3))
    return made


@pytest.mark.parametrize("number", [3, 2, 1])
def test_a_day_made_again_is_learnt_from_the_day_before_it(chain: Chain, number: int) -> None:
    def rows() -> dict[str, pa.Table]:
        return {
            name: chain.tables.read_arrow(name, [day(number)])
            .sort_by([(key, "ascending") for key in keys])
            .combine_chunks()
            for name, keys in TABLES.items()
        }

    before = rows()
    # Nobody predicts the first day.
    empty = [name for name, table in before.items() if not len(table)]
    assert empty == (["joint_predictions"] if number == 1 else [])
    records = chain.records
    source = Source.load("canonical", chain.landing)
    importlib.import_module("jobs.train_joint").run(
        Step(
            chain.runner.tables,
            chain.config,
            source,
            [day(number)],
            "run",
            {day(number): records["train_joint", day(number)].fingerprint},
            lambda name: {at for job, at in records if job == name},
        )
    )
    for name, table in rows().items():
        assert table.equals(before[name]), name

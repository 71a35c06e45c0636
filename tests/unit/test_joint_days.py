"""A day of the joint model that is made again comes out as it was."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

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


def test_the_model_knows_no_more_than_it_may_however_its_days_are_made(
    chain: Chain, tmp_path: Path
) -> None:
    made = []
    for name, days in (("at once", [3]), ("day by day", [1, 2, 3])):
        (tmp_path / name).mkdir()
        settings = (*chain.settings, "joint.most_coordinates=200")
        bounded = replace(chain.duplicate(tmp_path / name), settings=settings)
        for number in days:
            bounded.make("train_joint", day(number))
        made.append(bounded)
    at_once, single = made
    runs = at_once.tables.read_arrow("joint_runs", [day(3)]).to_pylist()
    assert {run["coordinates"] for run in runs} == {200}
    for table in TABLES:
        assert at_once.rows(table, day(3)) == single.rows(table, day(3))
    assert at_once.rows("joint_weights", day(3)) != chain.rows("joint_weights", day(3))

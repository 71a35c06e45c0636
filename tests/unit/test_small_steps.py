"""Small steps are made in the process that was called; Spark is started for the others."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from jobs.landing.sources import Source
from jobs.planning.runner import Runner
from jobs.setup.config_layers import load_config
from jobs.storage.tables import Tables
from tests.support.chain import SHORT_WINDOWS, SMALL_MODELS, Chain, Silent
from tests.support.world import World, day

DAY = day(2)


class Started(Exception):
    """Spark was asked for."""


def start() -> NoReturn:
    raise Started


def runner(root: Path, landing: Path, *settings: str) -> Runner:
    config = load_config(settings=[*SHORT_WINDOWS, *SMALL_MODELS, *settings], environment={})
    tables = Tables(str(root), start)
    tables.create(["runs"])
    return Runner(config, Source.load("canonical", landing), tables, "run", Silent())


@pytest.fixture
def begun(chain: Chain, tmp_path: Path) -> Chain:
    """A chain that may be changed."""
    return chain.duplicate(tmp_path)


def make_again(chain: Chain, job: str, *settings: str) -> None:
    made = runner(chain.root, chain.landing, *settings)
    made.run([(job, DAY)], only=job, force=True)


def test_small_days_are_made_without_a_session(marketplace: World, tmp_path: Path) -> None:
    alone = runner(tmp_path / "warehouse", marketplace.landing, "spark.small_rows=100000")
    steps = alone.run([("publish_scores", DAY)])
    assert {"ingest_logs", "train_joint", "score_listings"} <= {step.job.name for step in steps}


def test_a_step_is_as_large_as_the_traffic_of_its_days(begun: Chain) -> None:
    rows = begun.tables.row_counts("impressions", [DAY])[DAY]
    make_again(begun, "label_impressions", f"spark.small_rows={rows}")
    with pytest.raises(Started):
        make_again(begun, "label_impressions", f"spark.small_rows={rows - 1}")


def test_logs_that_landed_are_judged_by_their_bytes(begun: Chain) -> None:
    make_again(begun, "ingest_logs", "spark.small_rows=100000")
    with pytest.raises(Started):
        make_again(begun, "ingest_logs", "spark.small_rows=100")


def test_where_workers_are_elsewhere_nothing_is_small(
    begun: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = "spark.small_rows=100000"
    with pytest.raises(Started):
        make_again(begun, "label_impressions", small, 'spark.master="spark://host:7077"')
    with pytest.raises(Started):
        make_again(begun, "label_impressions", small, 'spark.master="local-cluster[2,1,1024]"')
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    with pytest.raises(Started):
        make_again(begun, "label_impressions", small)

"""What the driver takes into memory: the rows it needs, whatever the size of the tables."""

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from jobs import evaluate_models, sample_training
from jobs.planning.inputs import read_position_rates, read_predictions, request_names
from jobs.planning.record import read_records
from jobs.step import Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader
from jobs.storage.tables import Tables
from schemas.catalog import TABLES
from tests.support.chain import Chain
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY, arrow_rows
from tests.support.world import day as world_day
from tests.unit.conftest import DAYS

BEFORE = DAY - timedelta(days=1)


@pytest.fixture
def tables(tmp_path):
    return Tables(str(tmp_path), LocalSpark)


@pytest.fixture
def reads(monkeypatch):
    """Tables and numbers of rows, read by read."""
    told = []
    whole = Tables.read_arrow

    def telling(self, name, *days, **how):
        rows = whole(self, name, *days, **how)
        told.append((name, len(rows)))
        return rows

    of_day = DayReader.__call__

    def telling_day(self, day):
        rows = of_day(self, day)
        name = next(name for name in TABLES if arrow_schema(name) == self.schema)
        told.append((name, len(rows)))
        return rows

    monkeypatch.setattr(Tables, "read_arrow", telling)
    monkeypatch.setattr(DayReader, "__call__", telling_day)
    return told


def step(tables, config, day=DAY):
    return Step(tables, config, source=None, days=[day], run_id="r")


def counts(day):
    """Two positions of each surface among many entities; 60 impressions and 6 clicks in all."""
    kinds = [("listing", str(k), 1, 0) for k in range(500)] + [("position", "1", 20, 2)]
    kinds += [("position", "2", 10, 1)]
    return [
        {"entity_type": kind, "entity_id": name, "surface": surface, "impressions": shown,
         "clicks": clicks, "ds": day}
        for surface in ("search", "promoted")
        for kind, name, shown, clicks in kinds
    ]  # fmt: skip


def test_position_rates_of_a_window_read_only_its_promoted_positions(tables, config, reads):
    tables.write_arrow("entity_counts", arrow_rows("entity_counts", counts(BEFORE)), [BEFORE])
    rates = read_position_rates(tables, config, [DAY])
    assert reads == [("entity_counts", 2)]
    overall = (3 + 1) / (30 + 100)
    assert rates[DAY] == {
        0: overall,
        1: pytest.approx((2 + 2.0) / (20 + 2.0 / overall)),
        2: pytest.approx((1 + 2.0) / (10 + 2.0 / overall)),
    }


def test_sampling_rates_read_only_positions(tables, config, reads):
    tables.write_arrow("entity_counts", arrow_rows("entity_counts", counts(DAY)), [DAY])
    sample_training.run(step(tables, config))
    assert reads == [("entity_counts", 4)]
    rates = tables.read_arrow("sampling_rates", [DAY]).sort_by("surface").to_pylist()
    assert [(row["surface"], row["impressions"], row["clicks"]) for row in rates] == [
        ("promoted", 30, 3),
        ("search", 30, 3),
    ]


def test_the_names_of_a_request_are_read_without_those_of_listings(tables, config, reads):
    names = [("title", f"w{k}") for k in range(300)] + [("device", "mobile")]
    rows = [
        {"slot": k, "namespace": namespace, "value": value, "rows": 1, "ds": DAY}
        for k, (namespace, value) in enumerate(names)
    ]
    tables.write_rows("feature_names", rows, [DAY])
    assert [row["value"] for row in request_names(tables, config, DAY)] == ["mobile"]
    assert reads == [("feature_names", 1)]


def predictions(day, size):
    """Rows whose order keys are spread as hashes are."""
    keys = np.random.default_rng(day.toordinal()).integers(-(2**63), 2**63 - 1, size)
    schema = arrow_schema("predictions")
    columns = {}
    for field in schema:
        value = pa.scalar("x") if pa.types.is_string(field.type) else pa.scalar(0)
        columns[field.name] = (
            pa.repeat(value, size) if field.name != "ds" else pa.array([day] * size)
        )
    columns |= {"order_key": pa.array(keys), "clicked": pa.array(keys % 9 == 0)}
    columns |= {"p_baseline": pa.repeat(0.1, size), "surface": pa.repeat("promoted", size)}
    return pa.table(columns).cast(schema)


def test_a_hash_sample_of_predictions_is_all_that_is_read_of_them(tables, reads):
    days = [BEFORE, DAY]
    for day in days:
        tables.write_arrow("predictions", predictions(day, 4000), [day])
    rows = read_predictions(tables, days, 1000)
    assert {name for name, _ in reads} == {"predictions"}
    assert sum(count for _, count in reads) == len(rows)
    assert 800 < len(rows) < 1200
    every = read_predictions(tables, days, 10**6)
    assert len(every) == 8000
    sampled = every.filter(
        pa.compute.less_equal(every["order_key"], max(rows["order_key"].to_pylist()))
    )
    assert rows.equals(sampled)


def test_a_large_day_is_scored_whole_and_judged_by_a_sample(chain, tmp_path, reads):
    last = world_day(DAYS)
    of_all = chain.tables.read_arrow("scored_traffic", [last])
    copied = chain.duplicate(tmp_path)
    few = copied.config.evaluation.model_copy(update={"max_rows": 100})
    config = copied.config.model_copy(update={"evaluation": few})
    reads.clear()
    outcome = evaluate_models.run(step(Tables(str(copied.root), LocalSpark), config, last))
    assert 50 < outcome[last].details["judged"] < 150 < outcome[last].rows_in == len(of_all)
    assert max(rows for name, rows in reads if name == "predictions") < 150
    again = copied.tables.read_arrow("scored_traffic", [last])
    assert again.sort_by("impression_id") == of_all.sort_by("impression_id")
    metrics = copied.tables.read_arrow("model_metrics", [last]).to_pylist()
    assert {row["rows"] for row in metrics if row["segment"] == "mixed"} == {
        outcome[last].details["judged"]
    }


def test_the_record_of_runs_is_read_once_however_many_steps_a_run_has(marketplace, tmp_path, reads):
    runner = Chain(tmp_path / "warehouse", marketplace.landing).runner
    steps = runner.run([("build_history", world_day(3))])
    assert len(steps) >= 4
    assert [name for name, _ in reads].count("runs") == 1
    # What it goes by in the end is what a run that reads it anew would find.
    assert runner.records.newest == read_records(runner.tables)


def test_a_second_run_sees_what_another_has_recorded_since(marketplace, tmp_path):
    chain = Chain(tmp_path / "warehouse", marketplace.landing)
    early = chain.runner
    assert early.planner().due([("ingest_logs", world_day(1))])
    chain.make("ingest_logs", world_day(1))
    assert early.run([("ingest_logs", world_day(1))]) == []


def test_details_of_a_record_are_parsed_only_for_who_looks_into_them(chain, tmp_path):
    copy = chain.duplicate(tmp_path)
    later = timedelta(seconds=1)
    rows = copy.tables.read_arrow("runs").to_pylist()
    broken = [
        row | {"details": "{ not JSON", "ended": row["ended"] + later}
        for row in rows
        if row["job"] != "ingest_logs"
    ]
    copy.tables.write_rows("runs", broken, None)
    assert copy.runner.run([("publish_scores", world_day(DAYS))]) == []

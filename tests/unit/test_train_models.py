"""The job that learns: what it refuses to learn from, and that nothing is written then."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from jobs import train_models
from jobs.setup.exits import ExitCode, QualityStop
from jobs.step import Step
from jobs.storage.tables import Tables
from pipelines.features.rows import SlotRows
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY

NEXT = DAY + timedelta(days=1)
WRITTEN = ("model_weights", "training_runs")


def features(day, clicks, rows=400):
    """Rows of a day's sample, the first of which are clicked."""
    slots = np.random.default_rng(day.day).integers(0, 50, (rows, 3)).astype(np.int32)
    packed = SlotRows(np.arange(0, 3 * rows + 1, 3), slots.reshape(-1)).to_binary().to_pylist()
    return [
        {
            "order_key": k, "impression_id": f"{day}/{k}", "surface": "promoted",
            "clicked": k < clicks, "sampling_rate": 0.5, "listing_key": k % 7,
            "historical_slots": packed[k], "content_slots": packed[k], "ds": day,
        }
        for k in range(rows)
    ]  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    return Tables(str(tmp_path), LocalSpark)


def learn(tables, config, clicks):
    """Learn days with so many clicked rows each."""
    for day, count in clicks.items():
        tables.write_rows("features", features(day, count), [day])
        vector = {"listing_id": "l1", "vector": [1.0, 0.5], "ds": day}
        tables.write_rows("listing_vectors", [vector], [day])
    small = {
        model: replace(getattr(config.training, model), bits=8)
        for model in ("historical", "content")
    }
    training = config.training.model_copy(update=small)
    settings = config.model_copy(update={"training": training})
    train_models.run(Step(tables, settings, source=None, days=list(clicks), run_id="r"))


def test_models_of_enough_clicks_are_written(tables, config):
    learn(tables, config, {DAY: 100})
    assert all(tables.days(name) == {DAY} for name in WRITTEN)


@pytest.mark.parametrize("clicks", [0, 400], ids=["no clicks", "clicks only"])
def test_a_model_without_clicks_or_without_others_is_refused_and_nothing_written(
    tables, config, clicks
):
    with pytest.raises(QualityStop, match=f"{DAY} .*{clicks} clicks") as stopped:
        learn(tables, config, {DAY: clicks})
    assert stopped.value.exit_code == ExitCode.QUALITY
    assert "\n" not in str(stopped.value)
    assert not any(tables.days(name) for name in WRITTEN)


def test_a_day_that_cannot_be_learnt_from_leaves_those_made_with_it_unwritten(tables, config):
    with pytest.raises(QualityStop, match=f"{DAY} .*0 clicks"):
        learn(tables, config, {DAY: 0, NEXT: 100})
    assert not any(tables.days(name) for name in WRITTEN)

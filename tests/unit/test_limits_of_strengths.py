"""Prior strengths stay inside the configured limits, wherever a job estimates them."""

from datetime import timedelta

import pyarrow.compute as pc
import pytest

from jobs import build_history
from jobs.planning.inputs import strengths_of
from jobs.setup.config_layers import load_config
from jobs.step import Step
from jobs.storage.tables import Tables
from pipelines.features.prior_strengths import moments
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY, DAY_NUMBER, arrow_rows, row

LEAST, MOST = 3.0, 50.0
YESTERDAY = DAY - timedelta(days=1)
CLICKS = {
    # One shop has all the clicks: the estimate is far below any limit.
    "shop": [0] * 49 + [500],
    # Every listing has just what was expected of it: there is no variance to estimate.
    "listing": [10] * 50,
}


def counts(day):
    """A day's counts of entities of which 10 clicks each were expected."""
    return [
        {"entity_type": entity, "entity_id": f"{entity}{k}", "surface": "promoted",
         "impressions": 1000, "clicks": clicks, "expected_clicks_micro": 10_000_000, "ds": day}
        for entity, numbers in CLICKS.items()
        for k, clicks in enumerate(numbers)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def limited():
    limits = [f"history.min_strength={LEAST}", f"history.max_strength={MOST}"]
    return load_config(settings=limits, environment={})


def test_strengths_of_training_and_prediction_stay_inside_the_limits(tmp_path, limited):
    tables = Tables(str(tmp_path), LocalSpark)
    for day in (YESTERDAY, DAY):
        tables.write_rows("entity_counts", [row("entity_counts", **c) for c in counts(day)], [day])
    made = {YESTERDAY, DAY}
    build_history.run(Step(tables, limited, None, [DAY], "r", available=lambda job: made))
    found = {
        (row["entity_type"], row["surface"]): row["strength"]
        for row in tables.read_arrow("entity_priors", [DAY]).to_pylist()
    }
    assert found["shop", "promoted"] == LEAST
    assert found["listing", "promoted"] == MOST
    assert found["listing", "search"] == pytest.approx((LEAST * MOST) ** 0.5)
    assert all(LEAST <= strength <= MOST for strength in found.values())


def test_strengths_of_scoring_stay_inside_the_limits(limited):
    history = arrow_rows("entity_counts", counts(DAY))
    sums = {
        "impressions": "impressions",
        "clicks": "clicks",
        "expected_micro": "expected_clicks_micro",
    }
    table = history.select(["entity_type"])
    for what, column in sums.items():
        table = table.append_column(f"promoted_{what}", history[column])
        table = table.append_column(f"search_{what}", pc.multiply(history[column], 0))
    found = strengths_of(limited, DAY, moments(table))
    assert found[DAY_NUMBER, "shop", "promoted"] == LEAST
    assert found[DAY_NUMBER, "listing", "promoted"] == MOST

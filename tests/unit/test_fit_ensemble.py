"""The job that stacks: of more predictions than it may hold it takes the same share of all."""

from datetime import timedelta

import numpy as np
import pytest

from jobs import evaluate_models, fit_ensemble
from jobs.setup.config_layers import load_config
from jobs.step import Step
from jobs.storage.tables import Tables
from tests.support.local_spark import LocalSpark
from tests.support.rows import DAY, arrow_rows

DAYS = [DAY - timedelta(days=back) for back in (1, 0)]
ROWS = 4000


def predictions(day):
    """A day's predictions, a tenth of them clicked, in no order of their keys."""
    rng = np.random.default_rng(day.day)
    keys = rng.integers(-(2**63), 2**63 - 1, ROWS)
    numbers = dict.fromkeys(
        (
            "historical_context",
            "content_listing",
            "content_context",
            "joint_listing",
            "joint_context",
            "p_baseline",
        ),
        0.0,
    )
    return [
        {
            **numbers, "impression_id": f"{day}/{k}", "order_key": int(key), "user_key": k % 100,
            "listing_id": "l1", "clicked": k % 10 == 0, "surface": "promoted",
            "position_band": "1", "window_impressions": k % 50, "shop_window_impressions": 9,
            "historical_listing": -2.0, "listing_ratio": 1.0, "position": 1, "ds": day,
        }
        for k, key in enumerate(keys.tolist())
    ]  # fmt: skip


@pytest.fixture
def tables(tmp_path):
    made = Tables(str(tmp_path), LocalSpark)
    for day in DAYS:
        made.write_rows("predictions", predictions(day), [day])
    return made


def fit(tables, max_rows):
    """What the job says of the last day."""
    settings = [
        "ensemble.days=2",
        f"ensemble.max_rows={max_rows}",
        'calibration.fields=["surface"]',
    ]
    config = load_config(settings=settings, environment={})
    return fit_ensemble.run(Step(tables, config, None, [DAY], "r"))[DAY]


@pytest.mark.parametrize("max_rows", [1000, 2000, 6000])
def test_of_too_many_predictions_the_lowest_keys_are_taken_whatever_their_day(tables, max_rows):
    rows = tables.read_arrow("predictions").to_pylist()
    share = max_rows / (2 * ROWS)
    taken = [row for row in rows if row["order_key"] / 2**64 + 0.5 < share]
    assert len(taken) == pytest.approx(max_rows, rel=0.1)
    record = fit(tables, max_rows)
    assert record.rows_in == record.details["rows"] == len(taken)
    assert record.details["clicks"] == sum(row["clicked"] for row in taken)
    assert record.details["days"] == 2


@pytest.mark.parametrize("max_rows", [2 * ROWS, 2 * ROWS + 1])
def test_of_no_more_predictions_than_it_may_hold_all_are_taken(tables, max_rows):
    assert fit(tables, max_rows).details["rows"] == 2 * ROWS


def test_rates_take_the_place_of_a_joint_model_that_is_worse_and_are_judged(tables):
    """Of two listings one is clicked on three times as often, as are first positions."""
    rng, ahead = np.random.default_rng(1), DAY + timedelta(days=1)
    places = [
        {"entity_type": "position", "entity_id": str(place), "surface": "promoted",
         "impressions": 50_000, "clicks": clicks}
        for place, clicks in ((1, 6_000), (5, 2_000))
    ]  # fmt: skip
    for day in (*DAYS, ahead):
        rows = predictions(day)
        for k, row in enumerate(rows):
            first, often = k % 4 < 2, k % 2
            rate = (0.12 if first else 0.04) * (1.5 if often else 0.5)
            row |= {
                "clicked": bool(rng.random() < rate), "position": 1 if first else 5,
                "listing_ratio": 1.5 if often else 0.5, "p_baseline": rate,
                "joint_listing": rng.normal(-2.0, 2.0),
            }  # fmt: skip
        tables.write_rows("predictions", rows, [day])
        counts = arrow_rows("entity_counts", [place | {"ds": day} for place in places])
        tables.write_arrow("entity_counts", counts, [day])
    config = load_config(settings=['calibration.fields=["surface"]'], environment={})
    details = fit_ensemble.run(Step(tables, config, None, [DAY], "r"))[DAY].details
    assert details["stack"] == "rates"
    assert any("these rates are published in its place" in said for said in details["degraded"])
    evaluate_models.run(Step(tables, config, None, [ahead], "r"))
    for row in tables.read_arrow("scored_traffic").to_pylist():
        assert row["p_click"] == pytest.approx(row["p_baseline"], rel=0.01)

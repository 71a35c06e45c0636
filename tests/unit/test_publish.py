"""Publishing a range: a refused day holds no other day back; and what must have a score."""

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

from jobs import publish_scores
from jobs.setup.exits import QualityStop
from jobs.storage.tables import Tables
from tests.support.rows import row

FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


def judged(day, ratio):
    """Metrics of the published model on a day with many clicks."""
    values = {
        "calibration_ratio": ratio,
        "normalized_entropy": 0.9,
        "normalized_entropy_difference": -0.01,
    }
    return [
        {
            "model": "published", "segment": "mixed", "metric": metric, "value": value,
            "low": value, "high": value, "rows": 100_000, "clicks": 1_000, "baseline": None,
            "reason": None, "ds": day,
        }
        for metric, value in values.items()
    ]  # fmt: skip


def a_score(day):
    """The score of the one listing."""
    numbers = dict.fromkeys(
        (
            "p_click",
            "logit",
            "p_historical",
            "p_content",
            "p_ensemble",
            "p_joint",
            "standard_error",
        ),
        0.1,
    )
    return numbers | {
        "listing_id": "a", "segment": "warm", "window_impressions": 9, "model_as_of": day,
        "run_id": "x", "ds": day,
    }  # fmt: skip


@pytest.fixture
def publish(tmp_path, config):
    """Publishes days with these listings, of which one has a score, and calibration ratios."""

    def run(ratios, listings=({"listing_id": "a"},), **limits):
        tables = Tables(str(tmp_path))
        for day, ratio in ratios.items():
            snapshot = [row("listings", ds=day, **listing) for listing in listings]
            tables.write_rows("listings", snapshot, [day])
            tables.write_rows("listing_scores", [a_score(day)], [day])
            tables.write_rows("model_metrics", judged(day, ratio), [day])
        limited = replace(config.publish, **limits)
        step = SimpleNamespace(
            tables=tables, config=SimpleNamespace(publish=limited), days=list(ratios)
        )
        return publish_scores.run(step)

    return run


@pytest.mark.parametrize(("good", "bad"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_the_day_that_passes_is_published_and_the_other_refused(publish, good, bad):
    ratios = {good: 1.0, bad: 3.0}
    with pytest.raises(QualityStop, match=f"{bad} are not published") as stopped:
        publish({day: ratios[day] for day in sorted(ratios)})
    assert set(stopped.value.passed) == {good}
    assert stopped.value.passed[good].published
    assert stopped.value.passed[good].rows_out == 1
    assert set(stopped.value.details) == {bad}
    failed = [g["name"] for g in stopped.value.details[bad]["gates"] if g["status"] == "FAIL"]
    assert failed == ["calibration_ratio"]


@pytest.mark.parametrize(
    ("other", "share"),
    [
        ({"quantity": 0}, 1.0),
        ({"is_promoted": False}, 1.0),
        ({"quantity": 1}, 0.5),
        ({"quantity": None}, 0.5),
    ],
    ids=["out of stock", "not promoted", "live", "of unknown stock"],
)
def test_coverage_is_the_share_of_listings_in_a_campaign_and_not_out_of_stock(
    publish, other, share
):
    listings = ({"listing_id": "a"}, {"listing_id": "b", **other})
    (record,) = publish({FIRST: 1.0}, listings, min_coverage=0.0).values()
    observed = {gate["name"]: gate["observed"] for gate in record.details["gates"]}
    assert observed["coverage"] == share

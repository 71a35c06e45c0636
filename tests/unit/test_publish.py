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
    """Publishes days with these listings, of which one has a score, and calibration ratios.

    Gives what the step gives, or raises what it raises.
    """

    def run(ratios, listings=({"listing_id": "a"},), **limits):
        tables = Tables(str(tmp_path))
        for day, ratio in ratios.items():
            snapshot = [row("listings", ds=day, **listing) for listing in listings]
            tables.write_rows("listings", snapshot, [day])
            tables.write_rows("listing_scores", [a_score(day)], [day])
            tables.write_rows("model_metrics", judged(day, ratio), [day])
        limited = replace(config.publish, **limits)
        step = SimpleNamespace(
            tables=tables, config=SimpleNamespace(publish=limited), days=list(ratios), run_id="r",
            records={},
        )  # fmt: skip
        return publish_scores.run(step)

    return run


def said(root):
    """What gates have said, as it is stored."""
    return Tables(str(root)).read_arrow("quality_results").to_pylist()


@pytest.mark.parametrize(("good", "bad"), [(FIRST, SECOND), (SECOND, FIRST)])
def test_the_day_that_passes_is_published_and_the_other_refused(publish, tmp_path, good, bad):
    ratios = {good: 1.0, bad: 3.0}
    with pytest.raises(QualityStop, match=f"{bad} are not published") as stopped:
        publish({day: ratios[day] for day in sorted(ratios)})
    assert set(stopped.value.passed) == {good}
    assert stopped.value.passed[good].published
    assert stopped.value.passed[good].rows_out == 1
    failed = [(g["ds"], g["check"]) for g in said(tmp_path) if g["status"] == "FAIL"]
    assert failed == [(bad, "gate:calibration_ratio")]


def test_every_gate_joins_the_quality_results_with_its_interval(publish, tmp_path):
    publish({FIRST: 1.0})
    results = {result["check"]: result for result in said(tmp_path)}
    assert set(results) == {
        f"gate:{name}"
        for name in (
            "coverage",
            "evaluation",
            "calibration_ratio",
            "normalized_entropy",
            "normalized_entropy_against_baseline",
            "calibration_ratio of field values",
        )
    }
    ratio = results["gate:calibration_ratio"]
    assert {key: ratio[key] for key in ("table", "slice", "severity", "status", "run_id")} == {
        "table": "listing_scores",
        "slice": "",
        "severity": "block",
        "status": "PASS",
        "run_id": "r",
    }
    assert (ratio["observed"], ratio["expected"], ratio["rows"]) == (1.0, "0.8 to 1.25", 100_000)
    assert ratio["details"] == "1 (1 to 1) over 100000 impressions and 1000 clicks"


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
    publish, tmp_path, other, share
):
    listings = ({"listing_id": "a"}, {"listing_id": "b", **other})
    publish({FIRST: 1.0}, listings, min_coverage=0.0)
    observed = {gate["check"]: gate["observed"] for gate in said(tmp_path)}
    assert observed["gate:coverage"] == share

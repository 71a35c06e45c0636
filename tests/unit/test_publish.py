"""Publishing a range: a refused day holds no other day back."""

from datetime import date
from types import SimpleNamespace

import pytest

from jobs import publish_scores
from jobs.setup.exits import QualityStop
from jobs.storage.tables import Tables
from tests.support.rows import row

GOOD, BAD = date(2026, 1, 1), date(2026, 1, 2)


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
        ("p_click", "logit", "p_historical", "p_content", "p_ensemble", "standard_error"), 0.1
    )
    return numbers | {
        "listing_id": "a", "segment": "warm", "window_impressions": 9, "model_as_of": day,
        "run_id": "x", "ds": day,
    }  # fmt: skip


@pytest.fixture
def step(tmp_path, config):
    tables = Tables(str(tmp_path))
    for day, ratio in ((GOOD, 1.0), (BAD, 3.0)):
        tables.write_rows("listings", [row("listings", listing_id="a", ds=day)], [day])
        tables.write_rows("listing_scores", [a_score(day)], [day])
        tables.write_rows("model_metrics", judged(day, ratio), [day])
    return SimpleNamespace(tables=tables, config=config, days=[GOOD, BAD])


def test_the_day_that_passes_is_published_and_the_other_refused(step):
    with pytest.raises(QualityStop, match="2026-01-02 are not published") as stopped:
        publish_scores.run(step)
    assert set(stopped.value.passed) == {GOOD}
    assert stopped.value.passed[GOOD].published
    assert stopped.value.passed[GOOD].rows_out == 1
    failed = [g["name"] for g in stopped.value.details[BAD]["gates"] if g["status"] == "FAIL"]
    assert failed == ["calibration_ratio"]

"""Public logs, cut into days by their own sources: sane from the second day on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.young_logs import LOGS, young

DATASETS = Path(__file__).parents[3] / "shared" / "datasets"
# What the docs allow a day's normalized entropy to lie above that of the rates.
MOST_ABOVE = 0.002
# A day of few clicks is above them now and then by chance.
FEW_CLICKS = 100


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.skipif(not DATASETS.is_dir(), reason=f"no public data sets in {DATASETS}")
@pytest.mark.parametrize("log", list(LOGS))
def test_no_day_of_real_logs_is_worse_than_the_smoothed_rate_by_position(
    spark: object, log: str, tmp_path: Path
) -> None:
    chain, days = young(log, DATASETS, tmp_path)
    chain.make("evaluate_models", *days[1:])
    found = {
        (row["ds"], row["metric"]): row
        for row in chain.tables.read_arrow("model_metrics", days[1:]).to_pylist()
        if row["model"] == "published" and row["segment"] == "mixed"
    }
    differences = [found[at, "normalized_entropy_difference"] for at in days[1:]]
    for row in differences:
        above = row["low"] if row["clicks"] < FEW_CLICKS else row["value"]
        assert above <= MOST_ABOVE, row["ds"]
    clicks = sum(row["clicks"] for row in differences)
    assert sum(row["value"] * row["clicks"] for row in differences) / clicks < 0.0
    for at in days[1:]:
        ratio = found[at, "calibration_ratio"]
        assert ratio["low"] <= 1.0 <= ratio["high"], at

"""Intervals of metrics and of differences hold the truth as often as they say, clumps and all."""

import numpy as np
import pytest

from pipelines.models.elementary import probabilities
from pipelines.models.judged import COMPARED, DIFFERENCE, Judged, MetricRow
from pipelines.models.metrics import evaluate
from pipelines.models.segments import SEGMENTS

USERS, ROWS_OF_A_USER = 150, 10
REPEATS = 300
# Two standard errors of a share of 95 % of the repeats; intervals of 90 % hold 0.865 to 0.935.
FEWEST, MOST = 0.925, 0.975


def judged(users: int, seed: int) -> dict[tuple[str, str], MetricRow]:
    """Judge a day on which a user's rows are far from independent, by segment and metric."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), ROWS_OF_A_USER)
    rows = len(user)
    habit, known = rng.normal(0, 1.2, users)[user], rng.normal(0, 1.0, rows)
    clicked = rng.random(rows) < probabilities(-2.2 + habit + known)
    models = {
        "model": probabilities(-1.9 + known),
        "baseline": probabilities(-1.9 + 0.5 * known + rng.normal(0, 0.3, rows)),
    }
    day = Judged(clicked, user, rng.random(rows) < 0.3, models, "baseline")
    return {(r.segment, r.metric): r for r in evaluate(day) if r.model == "model"}


@pytest.fixture(scope="module")
def truth() -> dict[tuple[str, str], MetricRow]:
    """So many users that chance is a hundredth of what it is in a repeat."""
    return judged(20_000, 999)


@pytest.fixture(scope="module")
def repeats() -> list[dict[tuple[str, str], MetricRow]]:
    return [judged(USERS, seed) for seed in range(REPEATS)]


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("metric", [*COMPARED, *(name + DIFFERENCE for name in COMPARED)])
def test_an_interval_of_95_percent_covers_the_truth_so_often(
    truth: dict[tuple[str, str], MetricRow],
    repeats: list[dict[tuple[str, str], MetricRow]],
    metric: str,
    segment: str,
) -> None:
    value = truth[segment, metric].value
    rows = [found[segment, metric] for found in repeats]
    share = np.mean([row.low <= value <= row.high for row in rows])
    assert FEWEST <= share <= MOST

"""Intervals of days with few clicks hold the truth as often as they say, clumps and all.

Markets whose true click chance of every row is known, at 1, 5, 20, 60 and 300 expected clicks.
"""

from functools import cache

import numpy as np
import pytest

from pipelines.models.entropy import click_rate_entropy
from pipelines.models.judged import CALIBRATION_RATIO, DIFFERENCE, NORMALIZED_ENTROPY, Judged
from pipelines.models.metrics import evaluate

ENTROPY_DIFFERENCE = NORMALIZED_ENTROPY + DIFFERENCE
REPEATS = 200
# Two standard errors of 95 % of the repeats. Wider is honest where there are few clicks.
LEAST = 0.92
ROWS_OF_A_USER = 10
CLICKS = (1, 5, 20, 60, 300)

# Relative click chances (truth, model, baseline) of rows with a feature x, of users with a taste t.
MARKETS = {
    "the model is better": lambda x, t: (np.exp(x + t), np.exp(x), np.exp(0 * x)),
    "the model promises six times": lambda x, t: (
        np.exp(x + t / 2),
        6 * np.exp(x / 2),
        np.exp(x / 3),
    ),
    "few rows are known to click": lambda x, t: (
        np.where(x > 2.3, 60, 1) * np.exp(t),
        np.where(x > 2.3, 60, 1) * np.exp(0 * x),
        np.exp(0 * x),
    ),
    "few users click most": lambda x, t: (
        np.exp(x + 1.5 * t),
        np.exp(x / 2 + t / 2),
        np.exp(x / 3),
    ),
}
EVERY = pytest.mark.parametrize(
    ("market", "clicks"), [(market, clicks) for market in MARKETS for clicks in CLICKS]
)


def draw(market, clicks, users, rng):
    """Users of rows, and their click chances by the truth, the model and the baseline."""
    rows = users * ROWS_OF_A_USER
    user = np.repeat(np.arange(users), ROWS_OF_A_USER)
    chances = MARKETS[market](rng.normal(size=rows), rng.normal(size=users)[user])
    rate = clicks / size(clicks) / ROWS_OF_A_USER / scale(market)
    return user, *(np.clip(rate * chance, 1e-9, 0.9) for chance in chances)


def size(clicks):
    """Users of a day."""
    return 200 + 2 * clicks


@cache
def scale(market):
    rng = np.random.default_rng(1)
    return MARKETS[market](rng.normal(size=10**6), rng.normal(size=10**6))[0].mean()


@cache
def truths(market, clicks):
    """Calibration ratio and difference of normalized entropies of a million rows, by chances."""
    _, chance, model, baseline = draw(market, clicks, 100_000, np.random.default_rng(2))
    losses = [-np.mean(chance * np.log(p) + (1 - chance) * np.log1p(-p)) for p in (model, baseline)]
    rows = len(chance)
    entropy = click_rate_entropy(chance.sum(), rows)
    return {
        CALIBRATION_RATIO: model.sum() / chance.sum(),
        ENTROPY_DIFFERENCE: (losses[0] - losses[1]) / entropy,
    }


@cache
def judged(market, clicks):
    """The two metrics of every repeat."""
    found = []
    for seed in range(REPEATS):
        rng = np.random.default_rng(seed)
        user, chance, model, baseline = draw(market, clicks, size(clicks), rng)
        clicked = rng.random(len(user)) < chance
        day = Judged(clicked, user, np.zeros(len(user), dtype=bool),
                     {"model": model, "baseline": baseline}, "baseline")  # fmt: skip
        rows = (r for r in evaluate(day) if (r.model, r.segment) == ("model", "mixed"))
        found.append({row.metric: row for row in rows})
    return found


def covers(row, truth):
    low = -np.inf if row.low is None else row.low
    high = np.inf if row.high is None else row.high
    return low <= truth <= high


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("metric", [CALIBRATION_RATIO, ENTROPY_DIFFERENCE])
def test_an_interval_of_95_percent_covers_the_truth_at_least_so_often(market, clicks, metric):
    truth = truths(market, clicks)[metric]
    share = np.mean([covers(day[metric], truth) for day in judged(market, clicks)])
    assert share >= LEAST


@pytest.mark.slow
@EVERY
def test_every_day_with_a_click_has_both_intervals_and_one_without_its_reason(market, clicks):
    for day in judged(market, clicks):
        ratio, difference = day[CALIBRATION_RATIO], day[ENTROPY_DIFFERENCE]
        assert ratio.low > 0
        if ratio.clicks:
            assert ratio.low <= ratio.value <= ratio.high
            assert difference.low <= difference.value <= difference.high
        else:
            assert (ratio.value, ratio.high, difference.low) == (None, None, None)
            assert ratio.reason == difference.reason == "no clicks"

"""The prior strength estimated by moments, in worlds where it is known."""

import numpy as np
import pytest

from pipelines.features.history_spark import strengths
from pipelines.scores.window_sums import prior_strengths

LIMITS = {"min_strength": 0.5, "max_strength": 200.0}


def planted(strength, mean, seed, entities=8000):
    """Clicks of entities whose ratio is Gamma with this mean, and strength in expected clicks."""
    random = np.random.default_rng(seed)
    expected = random.gamma(1.0, 5.0, entities)
    ratio = random.gamma(strength * mean, 1 / strength, entities)
    return expected, random.poisson(expected * ratio)


def moments(expected, clicks):
    e, k = np.round(expected * 1000), clicks.astype(float)
    sums = {"k": k.sum(), "e": e.sum(), "kk": (k * k).sum(), "ke": (k * e).sum(),
            "ee": (e * e).sum(), "entities": len(k)}  # fmt: skip
    surfaces = ("search", "promoted", "both")
    return {f"{surface}_{name}": value for surface in surfaces for name, value in sums.items()}


@pytest.mark.parametrize("mean", [0.5, 1.0])
@pytest.mark.parametrize("strength", [2.0, 8.0, 30.0])
def test_the_planted_strength_is_found(strength, mean):
    found = strengths(moments(*planted(strength, mean, seed=5)), **LIMITS)["both"]
    assert found.strength == pytest.approx(strength, rel=0.2)
    assert found.entities == 8000


def test_ratios_that_do_not_vary_are_pulled_as_hard_as_is_allowed():
    random = np.random.default_rng(1)
    expected = random.gamma(1.0, 5.0, 4000)
    found = strengths(moments(expected, random.poisson(expected)), **LIMITS)
    assert found["search"].strength > 100


def test_the_estimate_stays_inside_its_limits():
    wild = moments(np.full(50, 1.0), np.array([0] * 49 + [500]))
    assert strengths(wild, **LIMITS)["search"].strength == 0.5
    equal = moments(np.full(50, 10.0), np.full(50, 10))
    assert strengths(equal, **LIMITS)["search"].strength == 200.0


def test_nothing_to_estimate_from_gives_the_middle_of_the_limits():
    nothing = dict.fromkeys(moments(np.ones(1), np.ones(1, int)))
    assert strengths(nothing, **LIMITS)["both"].strength == 10.0


def test_the_driver_s_estimate_is_the_same():
    expected, clicks = planted(8.0, 1.0, seed=2, entities=500)
    micro = np.round(expected * 1e6).astype(int)
    zeros = dict.fromkeys(("search_impressions", "search_clicks", "search_expected_micro",
                           "promoted_impressions"), 0)  # fmt: skip
    sums = {
        ("listing", str(k)): {**zeros, "promoted_clicks": int(c), "promoted_expected_micro": int(m)}
        for k, (c, m) in enumerate(zip(clicks, micro, strict=True))
    }
    found = prior_strengths(sums, **LIMITS)
    milli = np.floor(micro / 1000 + 0.5) / 1000
    assert (
        found["listing", "promoted"] == strengths(moments(milli, clicks), **LIMITS)["both"].strength
    )
    assert found["listing", "both"] == found["listing", "promoted"]
    assert found["listing", "search"] == 10.0

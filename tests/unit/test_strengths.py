"""The prior strength estimated by moments, in worlds where it is known."""

import numpy as np
import pytest

from pipelines.features.history import strengths

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
    nothing = dict.fromkeys(moments(np.ones(1), np.ones(1, int)), 0)
    assert strengths(nothing, **LIMITS)["both"].strength == 10.0

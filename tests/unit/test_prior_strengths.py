"""Moments that add up, and the prior strength estimated by them in worlds where it is known."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines.features.prior_strengths import moments, strengths
from pipelines.features.rates import RATE_SURFACES

LIMITS = {"min_strength": 0.5, "max_strength": 200.0}


def planted(strength, mean, seed, entities=8000):
    """Clicks of entities whose ratio is Gamma with this mean, and strength in expected clicks."""
    random = np.random.default_rng(seed)
    expected = random.gamma(1.0, 5.0, entities)
    ratio = random.gamma(strength * mean, 1 / strength, entities)
    return expected, random.poisson(expected * ratio)


def planted_moments(expected, clicks):
    e, k = np.round(expected * 1000), clicks.astype(float)
    sums = {"k": k.sum(), "e": e.sum(), "kk": (k * k).sum(), "ke": (k * e).sum(),
            "ee": (e * e).sum(), "entities": len(k)}  # fmt: skip
    return {f"{surface}_{name}": value for surface in RATE_SURFACES for name, value in sums.items()}


@pytest.mark.parametrize("mean", [0.5, 1.0])
@pytest.mark.parametrize("strength", [2.0, 8.0, 30.0])
def test_the_planted_strength_is_found(strength, mean):
    found = strengths(planted_moments(*planted(strength, mean, seed=5)), **LIMITS)["both"]
    assert found.strength == pytest.approx(strength, rel=0.2)
    assert found.entities == 8000


def test_ratios_that_do_not_vary_are_pulled_as_hard_as_is_allowed():
    random = np.random.default_rng(1)
    expected = random.gamma(1.0, 5.0, 4000)
    found = strengths(planted_moments(expected, random.poisson(expected)), **LIMITS)
    assert found["search"].strength > 100


def test_the_estimate_stays_inside_its_limits():
    wild = planted_moments(np.full(50, 1.0), np.array([0] * 49 + [500]))
    assert strengths(wild, **LIMITS)["search"].strength == 0.5
    equal = planted_moments(np.full(50, 10.0), np.full(50, 10))
    assert strengths(equal, **LIMITS)["search"].strength == 200.0


def test_ratios_that_hardly_vary_are_pulled_no_harder_than_is_allowed():
    # Ten clicks expected of each, and their variance 10.05: by moments a strength of 2,000.
    clicks = np.array([7, 13] * 17 + [6, 14] * 3)
    given = planted_moments(np.full(40, 10.0), clicks)
    unbounded = strengths(given, min_strength=0.5, max_strength=1e9)
    assert unbounded["search"].strength == pytest.approx(2000.0)
    assert strengths(given, **LIMITS)["search"].strength == 200.0


def test_nothing_to_estimate_from_gives_the_middle_of_the_limits():
    nothing = dict.fromkeys(planted_moments(np.ones(1), np.ones(1, int)), 0)
    assert strengths(nothing, **LIMITS)["both"].strength == 10.0


@pytest.mark.parametrize("surface", RATE_SURFACES)
def test_moments_are_exact_and_add_up(surface):
    # Squares of these pass 64 bits.
    clicks = [10**10 + k for k in range(5)]
    micro = [10 * (10**14 + k) for k in range(5)]
    sums = {"clicks": clicks, "expected_micro": micro}
    history = pa.table(
        {"entity_type": ["listing"] * 5}
        | {f"{one}_{what}": sums[what] for one in ("search", "promoted") for what in sums}
    )
    found = moments(history)["listing"]
    share = 2 if surface == "both" else 1
    clicks = [share * k for k in clicks]
    expected = [(share * e + 500) // 1000 for e in micro]
    assert found[f"{surface}_kk"] == sum(k * k for k in clicks)
    assert found[f"{surface}_ke"] == sum(k * e for k, e in zip(clicks, expected, strict=True))
    assert found[f"{surface}_ee"] == sum(e * e for e in expected)
    parts = [moments(history.slice(row, 1))["listing"] for row in range(len(history))]
    assert {name: sum(part[name] for part in parts) for name in found} == found

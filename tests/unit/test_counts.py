"""Counts per entity against plain Python."""

from collections import defaultdict

import pytest

from tests.support.counting import count_days
from tests.support.rows import DAY
from tests.support.traffic import days_before, impressions, listings

DAYS = days_before(2)


@pytest.fixture(scope="module")
def shown():
    return [row for day in DAYS for row in impressions(day, 400)]


@pytest.fixture(scope="module")
def known():
    # l7 is in no snapshot: it is counted, but has no shop and no category.
    return [row for day in DAYS for row in listings(day, 7)]


@pytest.fixture(scope="module", params=[1, 3])
def counted(request, shown, known):
    made = count_days(shown, known, strength=2.0, files=request.param).to_pylist()
    key = ("entity_type", "entity_id", "surface", "ds")
    found = {tuple(row[k] for k in key): row for row in made}
    assert len(found) == len(made)
    return found


def rate_micro(shown, day, surface, position, strength=2.0):
    """The smoothed click rate of a position in millionths, as its docstring says."""
    valid = [
        r for r in shown if r["is_valid_traffic"] and (r["ds"], r["surface"]) == (day, surface)
    ]
    own = [r["clicked"] for r in valid if r["position"] == position]
    prior = strength * len(valid) / sum(r["clicked"] for r in valid)
    return round((sum(own) + strength) / (len(own) + prior) * 1e6)


def test_sums_are_those_of_a_plain_count(counted, shown, known):
    home = {row["listing_id"]: row for row in known}
    expected = defaultdict(lambda: [0, 0, 0])
    for row in shown:
        if not row["is_valid_traffic"]:
            continue
        of = home.get(row["listing_id"], {})
        entities = {
            "listing": row["listing_id"], "shop": of.get("shop_id"), "query": row["query"],
            "category": of.get("category"), "user": row["user_id"],
            "position": str(row["position"]),
        }  # fmt: skip
        micro = rate_micro(shown, row["ds"], row["surface"], row["position"])
        for entity, value in entities.items():
            if value is not None:
                sums = expected[entity, value, row["surface"], row["ds"]]
                sums[0] += 1
                sums[1] += row["clicked"]
                sums[2] += micro
    found = {
        key: [row["impressions"], row["clicks"], row["expected_clicks_micro"]]
        for key, row in counted.items()
    }
    assert found == dict(expected)


def test_expected_clicks_sum_to_the_clicks_of_a_surface(shown, known):
    """Up to rounding without smoothing, and closely with it."""
    for strength, tolerance in ((1e-6, 1e-3), (2.0, 0.05)):
        made = count_days(shown, known, strength=strength).to_pylist()
        positions = [row for row in made if row["entity_type"] == "position"]
        totals = defaultdict(lambda: [0, 0.0])
        for row in positions:
            totals[row["ds"], row["surface"]][0] += row["clicks"]
            totals[row["ds"], row["surface"]][1] += row["expected_clicks_micro"] / 1e6
        assert len(totals) == 4
        for clicks, expected in totals.values():
            assert expected == pytest.approx(clicks, rel=tolerance)


def test_a_surface_without_clicks_expects_none():
    rows = [{"impression_id": str(k), "position": k} for k in range(1, 4)]
    whole = [{"ds": DAY, "surface": "promoted"} | one for one in rows]
    made = count_days(whole, [{"ds": DAY}], strength=2.0).to_pylist()
    assert {row["expected_clicks_micro"] for row in made} == {0}

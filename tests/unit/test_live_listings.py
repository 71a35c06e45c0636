"""Which listings are scored, for the job and for the checks alike."""

import itertools
import tomllib
from pathlib import Path

import duckdb
import pytest

from pipelines.scores.live_listings import live_promoted
from tests.support.rows import arrow_rows

SNAPSHOT = arrow_rows(
    "listings",
    [
        {
            "listing_id": f"{is_promoted} {quantity}",
            "is_promoted": is_promoted,
            "quantity": quantity,
        }
        for is_promoted, quantity in itertools.product([True, False], [None, -1, 0, 1, 7])
    ],
)


@pytest.fixture(scope="module")
def live():
    return live_promoted(SNAPSHOT)["listing_id"].to_pylist()


def test_live_is_what_is_promoted_and_not_known_to_be_out_of_stock(live):
    assert live == ["True None", "True 1", "True 7"]


def test_the_checks_count_the_listings_that_are_scored(live):
    rules = tomllib.loads(Path("conf/quality/listings.toml").read_text())["rule"]
    (condition,) = (rule["condition"] for rule in rules if rule["name"] == "live_promoted")
    with duckdb.connect() as connection:
        counted = connection.from_arrow(SNAPSHOT).filter(condition).to_arrow_table()
    assert counted["listing_id"].to_pylist() == live

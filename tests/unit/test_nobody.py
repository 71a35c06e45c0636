"""Which user ids stand for many people, and which for a machine."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from pipelines.logs.labels import bursts
from pipelines.logs.nobody import Clicked, count_frequent, is_nobody, without_nobody
from tests.unit.test_labels import RULES

RULES_HERE = replace(RULES, max_user_share=0.2, max_user_impressions=100)


def clicks(user: str, listings: list[str]) -> list[dict[str, object]]:
    return [
        {"impression_id": f"{user}{k}", "user_id": user, "listing_id": one, "click_delay_s": 1}
        for k, one in enumerate(listings)
    ]


def found(often: int, clicked: list[str], user: str = "anon") -> list[str]:
    """Nobody's ids of a day on which 1,000 people have one impression and 5 % of them a click."""
    shown = pa.table({"user_id": [user] * often + [f"u{k}" for k in range(1000)] + [None]})
    people = [row for k in range(50) for row in clicks(f"u{k}", [f"l{k}"])]
    first = pa.Table.from_pylist([*people, *clicks(user, clicked)])
    rows, clicked_rows = len(shown), len(first)
    frequent = count_frequent(shown["user_id"], RULES_HERE.most_impressions(rows), RULES_HERE)
    return [
        user
        for user, often in frequent.items()
        if is_nobody(
            user, often, Clicked.of(first, user), rows=rows, clicks=clicked_rows, rules=RULES_HERE
        )
    ]


@pytest.mark.parametrize(
    ("often", "clicked", "expected"),
    [
        (500, [f"l{k}" for k in range(25)], True),
        (500, [], True),
        (200, ["l1"], False),
        (90, ["l1"], False),
        (500, ["l1"] * 25, False),
        (500, [f"l{k % 50}" for k in range(300)], False),
    ],
    ids=["many people", "none clicks", "too small a share", "too few", "on one listing", "eager"],
)
def test_who_has_more_of_a_day_than_a_person_is_nobody_unless_a_machine(
    often: int, clicked: list[str], expected: bool
) -> None:
    assert found(often, clicked) == (["anon"] if expected else [])


@pytest.mark.parametrize("user", ["-", "NULL", " null "])
def test_what_stands_for_nothing_is_nobody_however_rare(user: str) -> None:
    assert found(1, ["l1"], user) == [user]


def test_nobody_is_unknown_and_no_burst() -> None:
    first = pa.Table.from_pylist(clicks("-", ["l1"] * 50))
    assert len(bursts(first, RULES_HERE)) == 2
    unknown = without_nobody(first, ["-"])
    assert unknown["user_id"].null_count == 50
    assert len(bursts(unknown, RULES_HERE)) == 0
    assert without_nobody(first, []) is first

"""After a bad night the next run leaves what an undisturbed one leaves: a few nights of many.

`python -m tests.benchmarks.chaos` draws hundreds.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.support.bad_nights import Grounds, night_of, spend
from tests.support.night_faults import can_mount, faults
from tests.support.object_store import ObjectStore

NIGHTS = [
    ("killed twice", 7),
    ("replaced while read", 6),
    ("no reports", 11),
    ("full disk", 12),
]


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Grounds:
    return Grounds(tmp_path_factory.mktemp("grounds"))


@pytest.mark.parametrize(("name", "seed"), NIGHTS)
def test_the_next_run_ends_as_an_undisturbed_one(
    name: str, seed: int, grounds: Grounds, tmp_path: Path
) -> None:
    if name == "full disk" and not can_mount():
        pytest.skip("a small disk is mounted by root alone")
    kind = grounds.day_again if name == "no reports" else grounds.new_day
    with night_of(kind, tmp_path / "night") as night:
        ending = spend(night, faults(local=True)[name][0], random.Random(seed))
    assert not ending.wrong, ending


def test_so_it_does_in_an_object_store(
    grounds: Grounds, reached: ObjectStore, tmp_path: Path
) -> None:
    with night_of(grounds.new_day, tmp_path / "night", reached.bucket()) as night:
        ending = spend(night, faults(local=False)["killed at a point"][0], random.Random(1))
    assert not ending.wrong, ending

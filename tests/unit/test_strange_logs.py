"""Strange landing files in short: faults of days that need no Java, made up to the ingested logs.

`python -m tests.benchmarks.strange_logs` draws all kinds and makes whole days.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.formats import csv_text
from tests.support.strange_logs import Grounds, lost

SEEDS = range(1, 13)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Grounds:
    return Grounds.make(tmp_path_factory.mktemp("grounds"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_strange_file_is_read_or_named_and_no_row_is_lost(
    grounds: Grounds, tmp_path: Path, seed: int
) -> None:
    ending = grounds.spend(seed, tmp_path, job="ingest_logs", java=False)
    assert ending.wrong == [], str(ending)


def test_what_is_in_no_account_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(csv_text("clicks", [{"click_id": "c"}, {"click_id": "d"}]))
    (tmp_path / "b.txt").write_text("more")
    counts = {"in": 2, "accepted": 1, "quarantined": 1, "unread": {"files": 1}}
    assert lost(tmp_path, counts) == []
    assert len(lost(tmp_path, {**counts, "in": 1, "accepted": 0})) == 1
    assert len(lost(tmp_path, {**counts, "accepted": 0})) == 1
    assert len(lost(tmp_path, {**counts, "unread": {"files": 0}})) == 1
    assert lost(tmp_path, None) == ["2 rows are in no account"]

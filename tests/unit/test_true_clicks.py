"""Labels against the planted truth, where some clicks come late and some too late."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.chain import Chain
from tests.support.world import World, day, tiny

DAYS = 3
# So many that some clicks come after midnight, and some of these after the cut-off.
SHOWN = 20_000


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A few days with many clicks, and the truth about them."""
    config = tiny(DAYS, search_impressions_per_day=SHOWN)
    return World.make(tmp_path_factory.mktemp("busy"), config)


@pytest.fixture(scope="module")
def labeled(busy: World, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """All days labelled in one go."""
    made = Chain(tmp_path_factory.mktemp("labeled") / "warehouse", busy.landing)
    made.make("label_impressions", *(day(number) for number in range(1, DAYS + 1)))
    return made


def truly_clicked(world: World, at: date) -> set[str]:
    """Impressions of a day that were clicked, whenever."""
    truth = pq.ParquetFile(world.folder / "truth" / f"ds={at}.parquet").read()
    found: list[str] = truth.filter(truth["clicked"])["impression_id"].to_pylist()
    return set(found)


def first_clicks(landing: Path) -> dict[str, datetime]:
    """When each impression was clicked first, of all clicks that have landed."""
    first: dict[str, datetime] = {}
    for path in sorted((landing / "clicks").rglob("*.parquet")):
        for row in pq.ParquetFile(path).read().to_pylist():
            key, at = row["impression_id"], row["ts"]
            first[key] = min(at, first.get(key, at))
    return first


def clicked(chain: Chain, at: date) -> set[str]:
    """Impressions of a day that are labelled as clicked."""
    rows = chain.tables.read_arrow("labeled_impressions", [at])
    assert rows.num_rows == SHOWN + 500
    found: list[str] = rows.filter(rows["clicked"])["impression_id"].to_pylist()
    return set(found)


def test_labels_hold_the_true_clicks_of_the_day_and_of_the_next_before_the_cut_off(
    busy: World, labeled: Chain
) -> None:
    first = first_clicks(busy.landing)
    late, too_late = 0, 0
    for at in (day(number) for number in range(1, DAYS + 1)):
        midnight = datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)
        cutoff = midnight + timedelta(hours=2)
        # What no file holds has not landed: the last day's clicks after its cut-off.
        true = truly_clicked(busy, at) & set(first)
        assert clicked(labeled, at) == {key for key in true if first[key] < cutoff}, at
        late += sum(midnight <= first[key] < cutoff for key in true)
        too_late += sum(cutoff <= first[key] for key in true)
    assert late > 0
    assert too_late > 0

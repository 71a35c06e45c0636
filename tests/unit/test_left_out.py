"""A day that is left out: later days are made as if it had never landed, until it is taken back."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs.planning.left_out import remove_rows, say_how_to_go_on
from jobs.setup.exits import QualityStop
from tests.support.chain import Chain
from tests.support.world import day
from tests.unit.conftest import PUBLISHED

BAD, LAST = day(3), PUBLISHED[-1]
TABLES = ("joint_weights", "model_weights", "entity_history", "calibration_maps", "listing_scores")


def rows(made: Chain, name: str) -> list[str]:
    table = made.tables.read_arrow(name, [LAST])
    kept = [column for column in table.column_names if column not in ("run_id", "scored_at")]
    return sorted(map(repr, table.select(kept).to_pylist()))


def decide(made: Chain, *words: str) -> str:
    called = made.call("leave-out", "--date", str(BAD), *words)
    assert called.code == 0, called.err
    return called.out


@pytest.fixture(scope="module")
def whole(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The chain over logs in which no click after midnight is on an impression of the bad day.

    Such clicks are refused without it, and to tell refused rows takes Spark.
    """
    made = chain.duplicate(tmp_path_factory.mktemp("whole"))
    after = BAD + timedelta(days=1)
    shown = pq.read_table(made.landing / "impressions" / f"ds={after}")["impression_id"]
    for path in sorted((made.landing / "clicks" / f"ds={after}").iterdir()):
        clicks = pq.ParquetFile(path).read()
        pq.write_table(clicks.filter(pc.is_in(clicks["impression_id"], shown)), path)
    made.make("publish_scores", LAST)
    return made


def test_later_days_are_as_if_it_had_not_landed_and_as_before_when_it_is_taken_back(
    whole: Chain, tmp_path: Path
) -> None:
    without = replace(whole.duplicate(tmp_path / "without"), root=tmp_path / "without" / "fresh")
    for log in ("impressions", "clicks", "listings"):
        shutil.rmtree(without.landing / log / f"ds={BAD}")
    without.make("publish_scores", LAST)

    made = whole.duplicate(tmp_path / "made")
    assert "is left out" in decide(made, "--reason", "a crawler")
    steps = made.make("publish_scores", LAST)
    # Clicks after midnight are on what was shown the day before: those are read again.
    read = {at for step in steps if step.job.name == "ingest_logs" for at in step.days}
    assert read == {BAD + timedelta(days=1)}
    assert BAD not in made.tables.days("labeled_impressions")
    for name in TABLES:
        assert rows(made, name) == rows(without, name), name

    assert rows(made, "listing_scores") != rows(whole, "listing_scores")
    assert "a crawler" in made.call("leave-out").out
    refused = made.call("run", "--date", str(BAD))
    assert (refused.code, "is left out (a crawler)" in refused.err) == (99, True)

    assert "is taken back" in decide(made, "--undo", "--reason", "mended")
    made.make("publish_scores", LAST)
    for name in TABLES:
        assert rows(made, name) == rows(whole, name), name


def test_what_was_published_for_it_stays_readable(chain: Chain, tmp_path: Path) -> None:
    made = chain.duplicate(tmp_path)
    first = PUBLISHED[0]
    called = made.call("leave-out", "--date", str(first), "--reason", "a crawler")
    assert called.code == 0
    remove_rows(made.tables, made.records)
    assert first in made.tables.days("listing_scores") & made.tables.days("context_terms")
    assert first not in made.tables.days("labeled_impressions") | made.tables.days("joint_state")
    assert LAST in made.tables.days("labeled_impressions")


def test_a_decision_is_made_once_and_never_without_a_reason(chain: Chain, tmp_path: Path) -> None:
    made = chain.duplicate(tmp_path)
    assert made.call("leave-out", "--date", str(BAD)).code == 2
    decide(made, "--reason", "a crawler")
    assert "nothing to do" in decide(made, "--reason", "again")
    told = made.tables.read_arrow("runs").to_pylist()
    assert [row["ds"] for row in told if row["job"] == "leave_out"] == [BAD]


def test_a_stop_of_an_earlier_day_says_how_later_ones_go_on() -> None:
    stop = QualityStop(f"stopped by quality: rows of {BAD}: 0")
    say_how_to_go_on(stop, [day(2), BAD, LAST], [("publish_scores", LAST)])
    assert f"promoted-ctr leave-out --date {BAD} --reason" in str(stop)
    own = QualityStop(f"stopped by quality: rows of {LAST}: 0")
    say_how_to_go_on(own, [LAST], [("publish_scores", LAST)])
    assert "leave-out" not in str(own)


def test_no_earlier_day_is_proposed_where_the_day_asked_for_is_what_is_wrong() -> None:
    asked = date(2026, 1, 13)
    days = [date(2026, 1, number) for number in range(10, 14)]
    stop = QualityStop(f"refused_of_accepted_clicks of {asked}: inf, expected <= 0.5")
    say_how_to_go_on(stop, days, [("publish_scores", asked)])
    assert "leave-out" not in str(stop)
    stop = QualityStop(f"impressions of 2026-01-12, {asked}: listing_id is a number")
    say_how_to_go_on(stop, days, [("publish_scores", asked)])
    assert "leave-out" not in str(stop)
    stop = QualityStop("features.rows of 2026-01-12: 0, expected >= 1")
    say_how_to_go_on(stop, days, [("publish_scores", asked)])
    assert "leave-out --date 2026-01-12" in str(stop)

"""Refused rows that come in when what was wrong is mended: once, and all counts add up."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.landing import stored_days
from jobs.landing.mends import Mend
from jobs.landing.sources import Source
from jobs.planning.record import read_records
from jobs.planning.replaying import replay
from jobs.planning.runner import Runner
from jobs.setup.config_layers import load_config
from jobs.setup.exits import UsageError
from jobs.storage.tables import Tables
from tests.support.chain import Silent
from tests.support.ingesting import DAY, land, row

NEXT = DAY + timedelta(days=1)
LOGS = ("impressions", "clicks", "listings")
LONG = "x" * 5000
MS = (
    "SELECT impression_id, timestamp_millis(cast(ts AS bigint)) AS ts, surface, request_id, "
    "user_id, query, listing_id, position, device, country, attributes, ds, refused_row "
    "FROM refused"
)


class House:
    """A warehouse with refused rows, and a runner over it."""

    def __init__(self, spark: Any, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.settings: list[str] = []

    @property
    def runner(self) -> Runner:
        tables = Tables(str(self.folder / "warehouse"), lambda: self.spark)
        tables.create(["runs"])
        config = load_config(settings=self.settings, environment={})
        source = Source.load("canonical", self.folder / "landing")
        return Runner(config, source, tables, "run", Silent())

    @property
    def tables(self) -> Tables:
        return self.runner.tables

    def ingest(self, *days: date) -> list[str]:
        made = self.runner.run([("ingest_logs", day) for day in days], only="ingest_logs")
        return [step.job.name for step in made]

    def lose_landing(self) -> None:
        for log in LOGS:
            shutil.rmtree(self.folder / "landing" / log)

    def rows(self, name: str) -> list[str]:
        table = self.tables.read_arrow(name)
        return sorted(json.dumps(one, default=str, sort_keys=True) for one in table.to_pylist())

    def counts(self, day: date = DAY) -> dict[str, dict[str, Any]]:
        """Counts as recorded; they are those of the tables."""
        details = read_records(self.tables)["ingest_logs", day].details
        logs: dict[str, dict[str, Any]] = details["logs"]
        refused = self.tables.read_arrow("quarantine", [day]).to_pylist()
        for log, counts in logs.items():
            assert counts["in"] == counts["accepted"] + counts["quarantined"]
            assert counts["accepted"] == self.tables.row_counts(log).get(day, 0)
            assert counts["quarantined"] == sum(one["log"] == log for one in refused)
        return logs


@pytest.fixture(scope="module")
def made(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("house")
    landing = folder / "landing"
    shown = [
        row("impressions"),
        row("impressions", impression_id="long", query=LONG),
        row("impressions", impression_id="ms1", ts="1767348000123"),
        row("impressions", impression_id="ms1", ts="1767348000456"),
        row("impressions", ts="2026-01-02T11:00:00Z"),
        row("impressions", impression_id="bad", surface="ads"),
        "{no json",
    ]
    # A log of which a third is refused would stop the day.
    shown += [row("impressions", impression_id=f"good-{n}") for n in range(12)]
    land(landing, "impressions", shown)
    clicks = [
        row("clicks"),
        row("clicks", click_id="of-long", impression_id="long"),
        row("clicks", click_id="of-ms", impression_id="ms1", ts="2026-01-02T23:00:00Z"),
        row("clicks", click_id="of-none", impression_id="none"),
    ]
    clicks += [row("clicks", click_id=f"c-{n}", impression_id=f"good-{n}") for n in range(8)]
    land(landing, "clicks", clicks)
    listings = [row("listings", listing_id=f"l{n}") for n in range(2, 5)]
    land(landing, "listings", [row("listings"), *listings, row("listings", price=-1)])
    late = row("clicks", click_id="next", impression_id="long", ts="2026-01-03T00:10:00Z")
    usual = [row("clicks", click_id=f"n-{n}", ts="2026-01-03T10:00:00Z") for n in range(3)]
    land(landing, "clicks", [late, *usual], NEXT)
    land(landing, "impressions", [row("impressions", ts="2026-01-03T09:00:00Z")], NEXT)
    land(landing, "listings", [row("listings")], NEXT)
    house = House(spark, folder)
    house.ingest(DAY, NEXT)
    return house


@pytest.fixture
def house(made: House, tmp_path: Path) -> House:
    """The same, to be changed; file times are kept, as days are made from them."""
    shutil.copytree(made.folder, tmp_path / "house")
    return House(made.spark, tmp_path / "house")


@pytest.mark.slow
def test_a_mended_rule_lets_rows_in_alike_with_and_without_landing_files(
    house: House, tmp_path: Path
) -> None:
    before = house.counts()
    other = House(house.spark, tmp_path / "other")
    shutil.copytree(house.folder, other.folder)
    other.lose_landing()
    for one in (house, other):
        one.settings = ["ingest.max_string_bytes=8192"]
        assert one.ingest(DAY, NEXT) == ["ingest_logs"]
        after = one.counts()
        assert {log: after[log]["in"] for log in LOGS} == {log: before[log]["in"] for log in LOGS}
        assert after["impressions"]["accepted"] == before["impressions"]["accepted"] + 1
        # So do the clicks that only lacked the impression, of this day and of the next.
        assert after["clicks"]["accepted"] == before["clicks"]["accepted"] + 1
        assert one.counts(NEXT)["clicks"]["quarantined"] == 0
        assert one.ingest(DAY, NEXT) == []
    for name in (*LOGS, "quarantine"):
        assert house.rows(name) == other.rows(name), name


@pytest.mark.slow
def test_a_select_mends_rows_once_and_what_depends_on_them_is_due(house: House) -> None:
    before = house.counts()
    mend = Mend({"impressions": MS}, None, "unparsable_timestamp")
    assert list(replay(house.runner, [DAY], mend, who="me", why="times were in ms")) == [DAY]
    after = house.counts()
    # Of two rows with one id the first comes in, and the click that lacked it.
    for log in ("impressions", "clicks"):
        assert after[log]["accepted"] == before[log]["accepted"] + 1
        assert after[log]["in"] == before[log]["in"]
    (entry,) = read_records(house.tables)["ingest_logs", DAY].details["replays"]
    told = (entry["who"], entry["why"], entry["rows"])
    assert told == ("me", "times were in ms", {"impressions": 1, "clicks": 1})
    stored = house.tables.read_arrow("impressions", [DAY]).to_pylist()
    assert next(r for r in stored if r["impression_id"] == "ms1")["ts"].microsecond == 123000
    # The day itself is up to date; clicks of the day after may match what came in.
    planner = house.runner.planner()
    assert planner.is_made("ingest_logs", DAY)
    assert not planner.is_made("ingest_logs", NEXT)

    rows = {name: house.rows(name) for name in (*LOGS, "quarantine", "runs")}
    assert replay(house.runner, [DAY], mend, who="me", why="again") == {}
    assert {name: house.rows(name) for name in rows} == rows

    # Made again from its files, with one more of them, the day keeps what was mended.
    late = row("impressions", impression_id="late")
    land(house.folder / "landing", "impressions", [late], part="1")
    house.ingest(DAY)
    last = house.counts()
    assert last["impressions"]["accepted"] == after["impressions"]["accepted"] + 1
    assert last["impressions"]["quarantined"] == after["impressions"]["quarantined"]
    assert last["clicks"] == after["clicks"]
    assert house.ingest(DAY) == []


@pytest.mark.slow
def test_a_killed_replay_leaves_the_old_rows_though_their_files_are_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: house.rows(name) for name in (*LOGS, "quarantine")}
    counts = house.counts()
    house.lose_landing()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    mend = Mend({"impressions": MS}, None, "unparsable_timestamp")
    with monkeypatch.context() as patched:
        patched.setattr(stored_days, "write_frame", killed)
        with pytest.raises(KeyboardInterrupt):
            replay(house.runner, [DAY], mend, who="me", why="ms")
    # Half of it is there: the impression came in, and is in the quarantine still.
    assert house.rows("impressions") != before["impressions"]
    with pytest.raises(UsageError, match="not up to date"):
        replay(house.runner, [DAY], mend, who="me", why="ms")
    assert house.ingest(DAY) == ["ingest_logs"]
    assert house.counts() == counts
    for name, rows in before.items():
        assert house.rows(name) == rows, name


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT * FROM nowhere", "impressions"),
        ("SELECT impression_id, ds FROM refused", "must keep refused_row"),
        (
            "SELECT r.* FROM refused r CROSS JOIN (VALUES (1), (2)) AS twice(n)",
            "rows of one refused row",
        ),
    ],
)
def test_a_select_that_cannot_be_used_is_told_and_changes_nothing(
    made: House, select: str, said: str
) -> None:
    runs = made.rows("runs")
    with pytest.raises(UsageError, match=said):
        replay(made.runner, [DAY], Mend({"impressions": select}), who="me", why="x")
    assert made.rows("runs") == runs

"""What consumers read is what was published last, until somebody decides otherwise."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from jobs import JOBS, score_listings
from jobs.landing.sources import Source
from jobs.planning import runner as runner_module
from jobs.planning.exporting import score_file
from jobs.reporting.collect import collect_report
from jobs.setup.exits import ExitCode, InputMissing, QualityStop
from jobs.step import Step
from jobs.storage.published import SCORES, read_scores
from jobs.storage.reading import published_days, read_runs
from jobs.storage.tables import Tables
from jobs.storage.upkeep import maintain
from pipelines.scorer.scorer import Scorer
from schemas.catalog import TABLES
from tests.support.chain import Chain
from tests.support.local_spark import LocalSpark
from tests.unit.conftest import PUBLISHED

BEFORE, LAST = PUBLISHED
OTHER = "ensemble.published='pair'"
"""A setting of which other scores are made."""
ADDED = "scores_version"


def current(made: Chain) -> list[dict[str, Any]]:
    """What stands at the one address, but for the version that it is of."""
    found = made.tables.read_arrow("current_scores").drop_columns([ADDED])
    return found.sort_by("listing_id").to_pylist()


def published(made: Chain, day: Any = None) -> list[dict[str, Any]]:
    """What is read of a day, by default the newest."""
    return read_scores(made.tables, ds=day).table.sort_by("listing_id").to_pylist()


def version(made: Chain, day: Any = LAST) -> int:
    """The version at which a day is published now."""
    rows = [row for row in read_runs(made.tables) if row["job"] == "publish_scores"]
    return int([row["versions_in"][SCORES] for row in rows if row["ds"] == day][-1])


def first_version(made: Chain) -> int:
    """The version at which the last day was published first."""
    rows = [row for row in read_runs(made.tables) if row["job"] == "publish_scores"]
    return int(next(row["versions_in"][SCORES] for row in rows if row["ds"] == LAST))


def decide(made: Chain, command: str, *words: str, day: Any = LAST) -> str:
    called = made.call(command, "--date", str(day), "--reason", "a test", *words)
    assert called.code == ExitCode.DONE, called.err
    return called.out


@pytest.fixture(scope="module")
def twice(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The last day is published once more, of other scores. To be copied, not changed."""
    made = chain.duplicate(tmp_path_factory.mktemp("twice"))
    other = replace(made, settings=(*made.settings, OTHER))
    other.make("publish_scores", LAST)
    return other


def test_the_newest_published_day_is_at_one_address(chain: Chain, twice: Chain) -> None:
    for made in (chain, twice):
        rows = current(made)
        assert {row["ds"] for row in rows} == {LAST}
        assert rows == published(made)
    assert current(chain) != current(twice)


def test_every_version_of_that_address_is_one_whole_publication(twice: Chain) -> None:
    table = DeltaTable(twice.tables.path("current_scores"))
    scores = DeltaTable(twice.tables.path(SCORES))
    seen = []
    for number in range(table.version() + 1):
        table.load_as_version(number)
        rows = table.to_pyarrow_table()
        if not rows.num_rows:
            continue
        (named,) = {(row["ds"], row[ADDED]) for row in rows.select(["ds", ADDED]).to_pylist()}
        scores.load_as_version(named[1])
        stored = scores.to_pyarrow_dataset().to_table(filter=pa.compute.field("ds") == named[0])
        assert rows.num_rows == stored.num_rows
        seen.append(named)
    assert [day for day, _ in seen] == [LAST, LAST]
    assert seen[0][1] < seen[1][1]


def test_delta_rs_duckdb_and_polars_read_it(chain: Chain) -> None:
    path = chain.tables.path("current_scores")
    expected = {row["listing_id"]: row["p_click"] for row in published(chain)}
    rows = DeltaTable(path).to_pyarrow_table(columns=["listing_id", "p_click"])
    dataset = DeltaTable(path).to_pyarrow_dataset()
    query = "SELECT listing_id, p_click FROM scores"
    found = duckdb.connect().register("scores", dataset).execute(query).fetchall()
    assert dict(zip(*rows.to_pydict().values(), strict=True)) == expected
    assert dict(found) == expected
    assert dict(polars.read_delta(path).select("listing_id", "p_click").iter_rows()) == expected


def test_one_command_goes_back_and_later_runs_leave_it_so(twice: Chain, tmp_path: Path) -> None:
    made = twice.duplicate(tmp_path)
    second = published(made)
    at = first_version(made)
    told = decide(made, "publish", "--version", str(at))
    assert f"published at version {at}" in told
    assert "stays until another decision" in told
    first = published(made)
    assert first != second
    assert current(made) == first
    # A run that has nothing to make, and one that makes the day of other settings.
    assert made.make("publish_scores", LAST) == []
    another = replace(made, settings=made.settings[:-1])
    assert another.make("publish_scores", LAST)
    assert made.tables.version(SCORES) > version(made)
    assert current(made) == published(made) == first
    note = made.call("runs", "--job", "publish_scores", "--limit", "1").out
    assert "a test" in note
    listed = made.call("publish").out
    assert "a test" in listed
    # Until somebody decides otherwise.
    decide(made, "publish")
    assert current(made) == published(made)
    assert version(made) == made.tables.version(SCORES)
    assert made.make("publish_scores", LAST)
    assert [row["p_click"] for row in current(made)] == [row["p_click"] for row in second]


def test_a_day_that_is_taken_back_is_read_by_nobody_until_it_is_published_again(
    chain: Chain, tmp_path: Path
) -> None:
    made = chain.duplicate(tmp_path)
    rows = published(made)
    told = decide(made, "unpublish")
    assert f"current_scores holds the scores of {BEFORE}" in told
    assert current(made) == published(made, BEFORE)
    with pytest.raises(InputMissing, match=f"no scores are published for {LAST}"):
        read_scores(made.tables, ds=LAST)
    assert made.make("publish_scores", LAST) == []
    other = replace(made, settings=(*made.settings, "publish.max_ratio=1.9"))
    assert [step.job.name for step in other.make("publish_scores", LAST)] == ["publish_scores"]
    assert published_days(read_runs(made.tables)) == [BEFORE]
    assert {row["ds"] for row in current(made)} == {BEFORE}
    assert "nothing to do" in made.call("unpublish", "--date", str(LAST), "--reason", "x").out

    decide(made, "unpublish", day=BEFORE)
    assert current(made) == []
    decide(made, "publish")
    assert current(made) == published(made) == rows


def test_who_decided_when_and_why_is_on_the_record(chain: Chain, tmp_path: Path) -> None:
    made = chain.duplicate(tmp_path)
    at = version(made)
    decide(made, "unpublish", "--run-id", "night-watch")
    row = read_runs(made.tables)[-1]
    assert (row["job"], row["ds"], row["published"]) == ("publish_scores", LAST, False)
    assert row["run_id"] == "night-watch"
    told = row["details"]["decision"]
    assert told["who"]
    assert {name: told[name] for name in ("reason", "version", "published", "holds")} == {
        "reason": "a test", "version": at, "published": False, "holds": True,
    }  # fmt: skip
    verdict = collect_report(made.tables, made.config, LAST).verdict
    assert verdict == (
        f"Unpublished by {told['who']}: a test. Consumers go on reading the scores of {BEFORE}."
    )


def test_what_a_gate_refused_is_published_by_hand_and_judged_again_only_where_it_changes(
    chain: Chain, tmp_path: Path
) -> None:
    made = chain.duplicate(tmp_path)
    strict = replace(made, settings=(*made.settings, "publish.max_normalized_entropy=0.1", OTHER))
    with pytest.raises(QualityStop):
        strict.make("publish_scores", LAST)
    before = current(made)
    assert before == published(made)
    decide(made, "publish")
    assert current(made) == published(made) != before
    assert strict.make("publish_scores", LAST) == []


def test_a_run_that_was_killed_after_its_record_is_followed_by_the_next(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain.duplicate(tmp_path)
    other = replace(made, settings=(*made.settings, OTHER))
    before = current(made)
    follow = runner_module.follow

    def killed(*given: Any) -> None:
        if published(made) != before:
            raise KeyboardInterrupt
        follow(*given)

    monkeypatch.setattr(runner_module, "follow", killed)
    with pytest.raises(KeyboardInterrupt):
        other.make("publish_scores", LAST)
    monkeypatch.setattr(runner_module, "follow", follow)
    assert current(made) == before != published(made)
    assert other.make("publish_scores", LAST) == []
    assert current(made) == published(made)


@pytest.fixture
def back(twice: Chain, tmp_path: Path) -> Chain:
    """Gone back to what was published first, with the settings that it was made with."""
    made = twice.duplicate(tmp_path)
    decide(made, "publish", "--version", str(first_version(made)))
    return replace(made, settings=made.settings[:-1])


def test_a_publication_is_made_again_of_the_versions_that_the_record_names(
    back: Chain, tmp_path: Path
) -> None:
    scores = read_scores(back.tables)
    then = scores.made_from(back.tables)
    apart = Tables(str(tmp_path / "apart"), LocalSpark)  # type: ignore[arg-type]
    for table in set(scores.versions) - set(JOBS["score_listings"].writes):
        rows = then.read_arrow(table)
        apart.write_arrow(table, rows, rows["ds"].unique().to_pylist())
    source = Source.load("canonical", back.landing)
    score_listings.run(Step(apart, back.config, source, [LAST], "again", {LAST: "again"}))
    again = apart.read_arrow(SCORES).drop_columns("run_id").sort_by("listing_id")
    assert again.equals(scores.table.drop_columns("run_id").sort_by("listing_id"))


def test_what_servers_read_is_made_of_the_same_versions(back: Chain) -> None:
    scores = read_scores(back.tables)
    with pytest.raises(InputMissing, match="come out otherwise"):
        score_file(back.tables, back.config, scores)
    content = score_file(scores.made_from(back.tables), back.config, scores)
    (path := back.root / "scores.bin").write_bytes(content)
    scorer = Scorer.load(str(path))
    assert len(scorer.listings([row["listing_id"] for row in current(back)])) > 0


def grow_old(table: Path, *, days: int) -> None:
    """Have all of a table be so old: its files, its log, and when files were replaced."""
    at = time.time() - days * 86_400
    for entry in (table / "_delta_log").glob("*.json"):
        actions = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in actions:
            if "remove" in action:
                action["remove"]["deletionTimestamp"] = int(at * 1000)
        entry.write_text("\n".join(map(json.dumps, actions)))
    for path in table.rglob("*.*"):
        os.utime(path, (at, at))


def test_upkeep_keeps_what_was_gone_back_to_and_nothing_else(twice: Chain, tmp_path: Path) -> None:
    made = twice.duplicate(tmp_path)
    at = first_version(made)
    decide(made, "publish", "--version", str(at))
    rows = published(made)
    grow_old(made.root / SCORES, days=100)
    made.tables.delta(SCORES).create_checkpoint()
    maintain(made.tables, [SCORES])
    assert published(made) == rows
    # The day before was published at the same version.
    for day in PUBLISHED:
        decide(made, "publish", day=day)
    maintain(made.tables, [SCORES])
    words = ["--date", str(LAST), "--version", str(at), "--reason", "too late"]
    called = made.call("publish", *words)
    assert (called.code, "are gone" in called.err) == (ExitCode.USAGE, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["publish", "--reason", "x"], "say which day"),
        (["publish", "--date", str(LAST)], "say why"),
        (["unpublish", "--date", str(LAST)], "say why"),
        (["unpublish", "--reason", "x"], "say which day"),
        (["publish", "--date", str(LAST), "--version", "999", "--reason", "x"], "is not there"),
        (["publish", "--date", str(LAST), "--version", "0", "--reason", "x"], "holds no scores"),
        (["publish", "--date", str(LAST), "--version", "-1", "--reason", "x"], "from 0"),
    ],
)
def test_a_decision_that_cannot_be_made_is_refused_in_one_line(
    chain: Chain, words: list[str], said: str
) -> None:
    called = chain.call(*words)
    assert (called.code, said in called.err) == (ExitCode.USAGE, True), called
    assert len(called.err.splitlines()) == 1


def test_each_of_ninety_publications_stays_as_it_was_published(
    chain: Chain, tmp_path: Path
) -> None:
    made = chain.duplicate(tmp_path)
    tables = made.tables
    scores = tables.read_arrow(SCORES, [LAST])
    (like,) = (
        row
        for row in tables.read_arrow("runs").to_pylist()
        if (row["job"], row["ds"]) == ("publish_scores", LAST)
    )
    days = [LAST + timedelta(days=k + 1) for k in range(90)]
    records, expected = [], {}

    def of(day: date, p_click: float) -> pa.Table:
        known = {"ds": day, "p_click": p_click}
        columns = {name: pa.repeat(value, len(scores)) for name, value in known.items()}
        return pa.table({name: columns.get(name, scores[name]) for name in scores.column_names})

    for number, day in enumerate(days):
        expected[day] = (number + 1) / 100
        at = tables.write_arrow(SCORES, of(day, expected[day]), [day])
        ended = like["ended"] + timedelta(minutes=number)
        named = {"ds": day, "ended": ended, "versions_in": json.dumps({SCORES: at})}
        records.append(like | named)
    # Made again later, and refused: what was published is an older version of each day.
    tables.write_arrow(SCORES, pa.concat_tables([of(day, 0.99) for day in days]), days)
    tables.write_rows("runs", records, None)
    maintain(tables, TABLES)
    found = {day: read_scores(tables, ds=day).table["p_click"].unique() for day in days}
    assert {day: values.to_pylist() for day, values in found.items()} == {
        day: [value] for day, value in expected.items()
    }
    # Back from the newest, day by day; and to one of long ago.
    for day in days[:-4:-1]:
        decide(made, "unpublish", day=day)
    assert {row["p_click"] for row in current(made)} == {expected[days[-4]]}
    decide(made, "publish", day=days[-1])
    assert {row["p_click"] for row in current(made)} == {0.99}
    decide(
        made,
        "publish",
        "--version",
        str(json.loads(records[-1]["versions_in"])[SCORES]),
        day=days[-1],
    )
    assert {row["p_click"] for row in current(made)} == {expected[days[-1]]}

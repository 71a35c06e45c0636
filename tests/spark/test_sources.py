"""The public data sets against what is known of them, and what `check-source` says."""

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from jobs.commands.check_source import run_check
from jobs.landing.feature_inputs import own_inputs
from jobs.landing.source_findings import check_source
from jobs.landing.sources import Source
from jobs.setup.config_layers import load_config
from jobs.setup.exits import ExitCode, UsageError
from tests.support.ingesting import DAY, ingest, land, make_step, row

DATASETS = Path(__file__).parents[3] / "shared" / "datasets"
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(not DATASETS.is_dir(), reason=f"no public data sets in {DATASETS}"),
]


def load(spark, tmp_path, name):
    days = Source.load(name, DATASETS).days("impressions")
    step = make_step(spark, DATASETS, tmp_path, days, name)
    outcome = ingest(step)
    assert all(record.rows_quarantined == 0 for record in outcome.values())
    return {log: step.tables.read_arrow(log, days) for log in ("impressions", "clicks", "listings")}


class TestOpenBandit:
    pytestmark = needs_data

    def test_click_rates_are_those_known(self, spark, tmp_path):
        logs = load(spark, tmp_path, "open_bandit")
        shown = logs["impressions"]["surface"].value_counts().to_pylist()
        assert {one["values"]: one["counts"] for one in shown} == {
            "promoted": 10_000,
            "search": 10_000,
        }
        is_promoted = pc.starts_with(logs["clicks"]["impression_id"], "bts")
        assert pc.sum(is_promoted).as_py() == 69
        assert logs["clicks"].num_rows - 69 == 46
        assert logs["listings"].num_rows == 34 * 7
        assert set(logs["impressions"]["listing_id"].unique().to_pylist()) <= set(
            logs["listings"]["listing_id"].to_pylist()
        )


class TestTrivago:
    pytestmark = needs_data

    def test_shown_items_and_click_rate_are_those_known(self, spark, tmp_path):
        logs = load(spark, tmp_path, "trivago_2019")
        assert logs["impressions"].num_rows == 156_762
        assert logs["clicks"].num_rows / 156_762 == pytest.approx(0.044, abs=0.0005)
        first = logs["impressions"].filter(
            pc.equal(logs["impressions"]["impression_id"], "82cafdca18b3c-3-3")
        )
        (shown,) = first.to_pylist()
        # The list that was shown: 100131|913787|5967314|..., at 71|107|119|..., clicked at 3.
        assert (shown["listing_id"], shown["position"]) == ("5967314", 3)
        assert dict(shown["attributes"])["price"] == "119.0"
        assert "82cafdca18b3c-3-3" in logs["clicks"]["impression_id"].to_pylist()
        assert set(logs["impressions"]["listing_id"].unique().to_pylist()) == set(
            logs["listings"]["listing_id"].to_pylist()
        )


def findings(spark, landing):
    return check_source(Source.load("canonical", landing), lambda: spark)


def test_a_good_source_has_nothing_wrong(spark, tmp_path):
    for log in ("impressions", "clicks", "listings"):
        land(tmp_path, log, [row(log)])
    assert {found.level for found in findings(spark, tmp_path)} == {"good"}
    quiet = Console(quiet=True)
    assert run_check(Source.load("canonical", tmp_path), lambda: spark, quiet) == ExitCode.DONE


def test_local_time_clicks_of_others_and_unknown_surfaces_are_told(spark, tmp_path):
    shown = [
        row("impressions", impression_id=f"i{k}", ts=f"2026-01-03T0{k}:00:00Z", surface="ads")
        for k in range(3)
    ]
    land(tmp_path, "impressions", shown)
    land(tmp_path, "clicks", [row("clicks", impression_id="x")])
    told = {(found.log, found.column, found.level): [] for found in findings(spark, tmp_path)}
    for found in findings(spark, tmp_path):
        told[found.log, found.column, found.level].append(found.text)
    wrong = " ".join(told["impressions", "", "wrong"])
    assert "local time?" in wrong
    assert "found ads" in wrong
    assert "click_without_impression" in " ".join(told["clicks", "", "wrong"])
    assert "no file has landed as" in " ".join(told["listings", "", "look"])
    console = Console(quiet=True)
    assert run_check(Source.load("canonical", tmp_path), lambda: spark, console) == ExitCode.QUALITY


def test_columns_that_are_missing_unexpected_or_of_a_wrong_type_are_told(spark, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "source.toml").write_text(
        'what = "own"\n[views.impressions]\npath = "impressions/ds={ds}/*"\n'
        '[logs.impressions]\nviews = ["impressions"]\n'
    )
    (own / "impressions.sql").write_text(
        "SELECT impression_id, ts, surface, array(request_id) AS request_id, position, "
        "1 AS extra, ds FROM impressions"
    )
    land(tmp_path, "impressions", [row("impressions")])
    told = check_source(Source.load(own, tmp_path), lambda: spark)
    texts = {found.column: (found.level, found.text) for found in told if found.column}
    assert texts["listing_id"][0] == "wrong"
    assert "missing" in texts["listing_id"][1]
    assert texts["device"][0] == "look"
    assert texts["extra"] == (
        "look",
        "unexpected, not stored: put it into attributes if it should be",
    )
    assert texts["request_id"][0] == "wrong"
    assert "CAST(request_id AS STRING)" in texts["request_id"][1]
    assert texts["position"][0] == "good"


@pytest.mark.parametrize(
    ("position", "says"),
    [
        ("nope", "line 2: [UNRESOLVED_COLUMN"),
        ("CAST(query AS INT)", "line 2: [CAST_INVALID_INPUT] The value 'blue mug'"),
        ("1 / (position - 1)", "line 2: [DIVIDE_BY_ZERO] Division by zero, in 1 / (position - 1)"),
        ("position FROM", "[PARSE_SYNTAX_ERROR]"),
    ],
    ids=["column", "cast", "division", "syntax"],
)
def test_a_bad_select_is_told_with_its_file_and_line(spark, tmp_path, position, says):
    own = tmp_path / "own"
    own.mkdir()
    (own / "source.toml").write_text(
        'what = "own"\n[views.shown]\npath = "impressions/ds={ds}/*"\n'
        '[logs.impressions]\nviews = ["shown"]\n'
    )
    columns = "impression_id, ts, surface, request_id, listing_id, query, ds"
    sql = f"SELECT {columns},\n{position} AS position FROM shown"
    (own / "impressions.sql").write_text(sql)
    land(tmp_path / "landing", "impressions", [row("impressions")])
    step = make_step(spark, tmp_path / "landing", tmp_path / "warehouse", source=own)
    with pytest.raises(UsageError) as stop:
        ingest(step)
    assert f"{own / 'impressions.sql'}, line" in str(stop.value)
    assert says in str(stop.value)
    found = check_source(Source.load(own, tmp_path / "landing"), lambda: spark)
    assert any(says in f.text for f in found if f.level == "wrong")


def test_nobodys_ids_and_what_is_not_read_are_told_by_name(spark, tmp_path):
    shown = [row("impressions", impression_id=f"i{k}", user_id=f"u{k}") for k in range(20)]
    shown += [row("impressions", impression_id=f"a{k}", user_id="visitor") for k in range(20)]
    shown += [row("impressions", impression_id="n", user_id="NULL")]
    folder = land(tmp_path, "impressions", shown).parent
    (folder / "more.avro").write_text("Obj")
    labels = load_config(
        settings=["labels.max_user_share=0.2", "labels.max_user_impressions=10"], environment={}
    ).labels
    told = check_source(Source.load("canonical", tmp_path), lambda: spark, labels=labels)
    users = [found.text for found in told if (found.column, found.level) == ("user_id", "look")]
    assert ["'visitor'" in users[0], "48.8%" in users[0], "'NULL'" in users[1]] == [True] * 3
    assert len(users) == 2
    assert any("more.avro" in f.text for f in told if (f.log, f.level) == ("impressions", "look"))


@pytest.mark.parametrize(
    ("known", "level"), [(10, "good"), (9, "look"), (4, "wrong"), (0, "wrong")]
)
def test_impressions_of_listings_that_are_not_there_are_told(spark, tmp_path, known, level):
    shown = [row("impressions", impression_id=f"i{k}", listing_id=f"l{k}") for k in range(10)]
    land(tmp_path, "impressions", shown)
    ids = [f"l{k}" if k < known else f"L-{k}" for k in range(10)]
    land(tmp_path, "listings", [row("listings", listing_id=one) for one in ids])
    (found,) = [f for f in findings(spark, tmp_path) if f.column == "listing_id"]
    assert (found.level, f"{known * 10}.0%" in found.text) == (level, True)


def test_ids_with_a_fraction_are_wrong(spark, tmp_path):
    folder = tmp_path / "impressions" / "ds=2026-01-02"
    folder.mkdir(parents=True)
    at = datetime(2026, 1, 2, 10, tzinfo=UTC)
    pq.write_table(
        pa.Table.from_pylist([row("impressions", ts=at, listing_id=7.0, attributes=None)]),
        folder / "a.parquet",
    )
    (found,) = [f for f in findings(spark, tmp_path) if f.column == "listing_id"]
    assert found.level == "wrong"
    assert "CAST(CAST(listing_id AS BIGINT) AS STRING)" in found.text


def test_an_input_that_no_row_has_is_told_with_its_feature(spark, tmp_path):
    more = '[[features.more]]\nname = "{0}"\nmodel = "both"\nscope = "context"\nowner = "me"\n'
    more += 'encoding = "identity"\ninputs = ["attributes.{0}"]\nwhy = "so"\n'
    (tmp_path / "own.toml").write_text(more.format("nope") + more.format("there"))
    config = load_config(files=[tmp_path / "own.toml"], environment={})
    shown = [row("impressions", impression_id=f"i{k}", attributes={"there": "1"}) for k in range(3)]
    land(tmp_path / "landing", "impressions", shown)
    source = Source.load("canonical", tmp_path / "landing")
    told = check_source(source, lambda: spark, inputs=own_inputs(config))
    named = [(f.column, "feature nope" in f.text) for f in told if f.level == "wrong"]
    assert named == [("attributes.nope", True)]


def test_where_files_are_looked_for_is_told(spark, tmp_path):
    land(tmp_path, "impressions", [row("impressions")])
    looked = [found.text for found in findings(spark, tmp_path) if "looked at" in found.text]
    assert any("impressions/ds={ds}/" in text and "(1 file)" in text for text in looked)
    assert any("clicks/ds={ds}/" in text and "(0 files)" in text for text in looked)


def documented_source(folder):
    """The files of the wide log's source in the documents, and how many lines they have."""
    text = (Path(__file__).parents[2] / "docs" / "sources.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## A wide log$(.*?)^## ", text, re.M | re.S)
    blocks = re.findall(r"```\w+\n(?:--|#) (\S+)\n(.*?)```", section, re.S)
    folder.mkdir()
    for name, lines in blocks:
        (folder / name).write_text(lines)
    return sum(len(lines.splitlines()) for _, lines in blocks)


def test_a_raw_log_of_40_columns_takes_at_most_25_lines_and_loses_no_signal(spark, tmp_path):
    assert documented_source(tmp_path / "shop") <= 25
    known = {
        "is_ad": True, "page_id": "p", "visitor": "u", "search": "shoes", "slot": 1,
        "device": "phone", "country": "de", "shop": "s", "title": "red shoes",
        "category": "a > b", "price": 3.5,
    }  # fmt: skip
    signals = {f"signal_{k}": f"v{k}" if k % 2 else k for k in range(24)}
    at = datetime(2026, 1, 2, 10, tzinfo=UTC)
    rows = [
        {
            "event_id": f"e{k}", "sku": f"l{k % 3}", "shown_at": at,
            "clicked_at": at if k == 4 else None, **known, **signals,
        }
        for k in range(6)
    ]  # fmt: skip
    assert len(rows[0]) + 1 == 40, "and the day, which is the folder's"
    folder = tmp_path / "landing" / "events" / "ds=2026-01-02"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "a.parquet")
    told = check_source(Source.load(tmp_path / "shop", tmp_path / "landing"), lambda: spark)
    assert not [found for found in told if found.level == "wrong"]
    days = [date(2026, 1, 2)]
    step = make_step(spark, tmp_path / "landing", tmp_path, days, str(tmp_path / "shop"))
    outcome = ingest(step)
    counts = {log: told["accepted"] for log, told in outcome[days[0]].details["logs"].items()}
    assert counts == {"impressions": 6, "clicks": 1, "listings": 3}
    stored = step.tables.read_arrow("impressions")["attributes"].to_pylist()
    (attributes,) = {tuple(sorted(one)) for one in stored}
    assert dict(attributes) == {name: str(value) for name, value in signals.items()}


def test_a_day_can_be_named(spark, tmp_path):
    land(tmp_path, "impressions", [row("impressions")])
    told = check_source(Source.load("canonical", tmp_path), lambda: spark, date(2026, 2, 1))
    assert any("2026-02-01" in found.text for found in told if found.level == "wrong")
    assert any(f"{DAY}" in found.text for found in findings(spark, tmp_path))

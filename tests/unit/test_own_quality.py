"""Rules and suites of a user's own: beside those that come with the project, never instead."""

import json
from datetime import date
from types import SimpleNamespace

import pytest

from jobs.planning.own_quality import rules_for, suites_for
from jobs.reporting.expectations import confirm, documents
from jobs.setup.exits import UsageError
from jobs.storage.tables import Tables
from tests.support.report_tables import row

DAY = date(2026, 2, 6)
MINE = """
table = "listings"
owner = "shop"
[[rule]]
name = "cheap"
kind = "share"
condition = "price < 1"
max = 0.5
severity = "warn"
why = "cheap listings are mistakes of import"
[[rule]]
name = "cheap_against_history"
kind = "history"
of = "cheap"
min = -5
max = 5
severity = "warn"
why = "cheap listings come slowly"
"""
SUITE = {
    "name": "anything",
    "meta": {"table": "listings", "severity": "block"},
    "expectations": [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "price", "min_value": 0, "max_value": 100, "mostly": 0.5},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "shop_id", "value_set": ["s1"]},
            "meta": {"severity": "info"},
        },
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "title"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "nose"}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "listing_id"}},
    ],
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "mine" / "quality"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def config(tmp_path, folder):
    return SimpleNamespace(
        quality=SimpleNamespace(great_expectations=True, documents_kept=28, suite_rows=1000),
        source=SimpleNamespace(name="canonical"),
        storage=SimpleNamespace(reports=str(tmp_path / "reports"), project=str(folder.parent)),
    )


def test_own_rules_join_those_of_the_table_and_may_build_on_them(config, folder):
    (folder / "mine.toml").write_text(
        MINE.replace('of = "cheap"', 'of = "rows"').replace("cheap_against", "my_rows_against")
    )
    names = [rule.name for rule in rules_for(config)["listings"].rule]
    assert names[-2:] == ["cheap", "my_rows_against_history"]
    assert "live_promoted" in names
    assert rules_for(config)["listings"].owner == "shop"


def test_a_name_that_is_taken_is_refused_unless_it_says_override(config, folder):
    clash = MINE.split('[[rule]]\nname = "cheap_against')[0].replace('"cheap"', '"rows"')
    (folder / "mine.toml").write_text(clash)
    with pytest.raises(UsageError, match=r"there is a rule listings\.rows already.*override"):
        rules_for(config)
    other = folder.parents[1] / "other" / "quality"
    other.mkdir(parents=True)
    (other / "mine.toml").write_text(clash + "override = true\n")
    config.storage.project = str(other.parent)
    assert rules_for(config)["listings"].named("rows").kind == "share"
    (other / "more.toml").write_text(MINE.replace('"cheap"', '"new"') + "override = true\n")


def test_overriding_nothing_is_refused(config, folder):
    (folder / "mine.toml").write_text(MINE + "override = true\n")
    with pytest.raises(UsageError, match=r"no rule listings\.cheap_against_history to override"):
        rules_for(config)


def test_a_folder_beside_the_source_is_read_too(config, folder, tmp_path):
    source = tmp_path / "source"
    (source / "quality").mkdir(parents=True)
    (source / "source.toml").write_text("")
    (source / "quality" / "listings.toml").write_text(MINE)
    config.source.name = str(source)
    config.storage.project = ""
    assert rules_for(config)["listings"].named("cheap").max == 0.5


def test_rules_of_the_project_and_of_its_source_are_read_together(config, folder):
    (folder / "mine.toml").write_text(MINE)
    source = folder.parent / "sources" / "shop"
    (source / "quality").mkdir(parents=True)
    (source / "source.toml").write_text("")
    (source / "quality" / "more.toml").write_text(MINE.replace("cheap", "dear"))
    config.source.name = "shop"
    names = [rule.name for rule in rules_for(config)["listings"].rule]
    assert {"cheap", "dear"} <= set(names)


def test_a_folder_that_is_not_there_is_told(config):
    config.storage.project = "/nowhere"
    with pytest.raises(UsageError, match="project /nowhere is not there"):
        rules_for(config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "no suite"),
        ("{}", "no suite"),
        (json.dumps({"expectations": []}), "has no expectations"),
        (json.dumps(SUITE | {"meta": {"table": "nose"}}), "no table nose"),
        (json.dumps(SUITE | {"meta": {"table": "listings", "severity": "loud"}}), "loud"),
    ],
)
def test_a_file_that_is_no_suite_is_told_before_a_run(config, folder, text, says):
    (folder / "listings.json").write_text(text)
    with pytest.raises(UsageError, match=rf"quality suites: listings: .*{says}"):
        suites_for(config)


@pytest.fixture
def tables(tmp_path):
    made = Tables(str(tmp_path / "warehouse"))
    rows = [
        row("listings", listing_id=f"l{n}", price=60.0 * n, shop_id=f"s{n}", ds=DAY)
        for n in range(4)
    ]
    made.write_rows("listings", rows, [DAY])
    made.create(["quality_results"])
    return made


def test_a_suite_is_judged_on_the_rows_of_the_day_without_keeping_a_value(config, folder, tables):
    (folder / "prices.json").write_text(json.dumps(SUITE))
    said = confirm(tables, config, "r", DAY)
    of_suite = {(r.check, r.slice): r for r in said if r.table == "listings"}
    found = {key: (r.status, r.severity, r.observed) for key, r in of_suite.items()}
    assert found == {
        ("prices:column_values_to_be_between", "price"): ("PASS", "block", 0.5),
        ("prices:column_values_to_be_in_set", "shop_id"): ("WARN", "info", 0.75),
        ("prices:column_values_to_not_be_null", "title"): ("PASS", "block", 0.0),
        ("prices:column_values_to_not_be_null", "nose"): ("ERROR", "block", None),
        ("prices:column_values_to_be_unique", "listing_id"): ("PASS", "block", 0.0),
    }
    assert "3 rows break it" in of_suite["prices:column_values_to_be_in_set", "shop_id"].details
    assert said[-1].check == "great_expectations"
    stored = tables.read_arrow("quality_results").to_pylist()
    assert len(stored) == len(said)
    pages = documents(config, DAY).parent.rglob("*.html")
    text = "".join(page.read_text() for page in pages)
    assert "own-prices" in text
    assert "s2" not in text


def test_expectations_of_distributions_are_judged_and_drawn(config, folder, tables):
    parts = {"values": ["s0", "s1", "s2", "s3"], "weights": [0.25] * 4}
    kind = "expect_column_kl_divergence_to_be_less_than"
    for_shops = {"column": "shop_id", "partition_object": parts, "threshold": 0.1}
    suite = {"expectations": [{"type": kind, "kwargs": for_shops}]}
    (folder / "listings.json").write_text(json.dumps(suite))
    said = confirm(tables, config, "r", DAY)
    assert [r.status for r in said if r.table == "listings"] == ["PASS"]
    assert list(documents(config, DAY).parent.rglob("*own-listings.html"))


def test_a_day_that_is_too_large_is_sampled_and_says_so(config, folder, tables):
    config.quality.suite_rows = 2
    (folder / "prices.json").write_text(json.dumps(SUITE))
    said = {r.check: r for r in confirm(tables, config, "r", DAY)}
    assert said["prices:column_values_to_be_in_set"].rows == 2
    assert "sample of 2 of 4 rows" in said["prices:column_values_to_be_in_set"].details
    unique = said["prices:column_values_to_be_unique"]
    assert (unique.status, unique.observed) == ("SKIP", None)
    assert "about all rows" in unique.details


def test_an_expectation_that_cannot_be_judged_is_an_error_and_the_others_are_judged(
    config, folder, tables
):
    wrong = [
        {"type": "expect_nonsense", "kwargs": {}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"colum": "title"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "title"}},
    ]
    (folder / "listings.json").write_text(json.dumps({"expectations": wrong}))
    said = [r for r in confirm(tables, config, "r", DAY) if r.table == "listings"]
    assert [r.status for r in said] == ["ERROR", "ERROR", "PASS"]
    assert "expect_nonsense" in said[0].details
    assert "colum" in said[1].details

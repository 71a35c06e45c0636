"""Great Expectations beside the run: the same verdicts, documents that call nowhere, no harm."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from jobs.reporting.expectations import confirm, confirm_news, documents
from jobs.storage.tables import Tables
from pipelines.quality.agreement import disagreements, judged
from pipelines.quality.data_docs import offline, prune
from pipelines.quality.expectations import Validations
from pipelines.quality.results import Measurement, judge

DAY = date(2026, 2, 6)
NOW = datetime(2026, 2, 7, 3, tzinfo=UTC)


def result(check="rate", value=0.5, day=DAY, *, table="impressions", status=None, **bounds):
    measured = Measurement(
        check=check, slice="", severity="warn", value=value, rows=100,
        **{"low": 0.0, "high": 1.0, **bounds},
    )  # fmt: skip
    made = judge(measured, table=table, day=day, run_id="r", now=NOW)
    return made if status is None else SimpleNamespace(**{**vars(made), "status": status})


@pytest.fixture
def config(tmp_path):
    quality = SimpleNamespace(great_expectations=True, documents_kept=2, rules="", suite_rows=1000)
    return SimpleNamespace(
        quality=quality,
        source=SimpleNamespace(name="canonical"),
        storage=SimpleNamespace(reports=str(tmp_path / "reports"), project=""),
    )


@pytest.fixture
def tables(tmp_path):
    return Tables(str(tmp_path / "warehouse"))


def store(tables, results):
    tables.write_rows("quality_results", [vars(r) for r in results], None)


def test_it_judges_numbers_missing_numbers_and_days_as_the_run_does():
    results = [
        result("inside"),
        result("edge", 1.0),
        result("above", 1.0000001),
        result("below", -3.0, high=None),
        result("not_a_number", float("nan"), high=None),
        result("infinite", float("inf"), high=None),
        result("only_recorded", 9.0, low=None, high=None),
        *(result("of_days", 0.1 * k, DAY - timedelta(days=k), high=0.25) for k in range(4)),
        *(result("widened", 0.1 * k, DAY - timedelta(days=k), high=0.05 + 0.1 * (k % 2))
          for k in range(4)),
    ]  # fmt: skip
    assert {r.status for r in results} == {"PASS", "WARN"}
    asked = judged(results)
    assert len(asked) == len(results) - 1
    assert disagreements(asked, Validations("r")) == []


def test_it_names_each_verdict_that_differs_with_its_day():
    results = [
        result("fine"),
        result("fine", day=DAY - timedelta(days=1), status="WARN"),
        result("bad", 2.0, status="PASS"),
    ]
    said = sorted(str(found) for found in disagreements(results, Validations("r")))
    assert said == [
        "impressions.bad of 2026-02-06: Great Expectations fails it, here PASS",
        "impressions.fine of 2026-02-05: Great Expectations passes it, here WARN",
    ]


def test_a_run_is_told_that_all_agree_and_has_documents_that_fetch_nothing(tables, config):
    store(tables, [result("rate"), result("broken", 7.0, table="listings")])
    (said,) = confirm(tables, config, "r", DAY)
    assert (said.status, said.observed, said.rows) == ("PASS", 0.0, 2)
    stored = tables.read_arrow("quality_results").to_pylist()
    assert [r["status"] for r in stored if r["check"] == "great_expectations"] == ["PASS"]
    first = documents(config, DAY)
    index = first.read_text()
    assert "impressions" in index
    assert "listings" in index
    links = re.findall(r'href="([^"]+)"', index)
    assert len(links) == 4
    for link in links:
        page = (first.parent / link).read_text()
        assert not re.search(r"""(src=|<link[^>]+href=|url\()["']?http""", page)
        assert "Great Expectations" in page


def test_a_verdict_that_differs_is_an_error_that_names_it(tables, config):
    store(tables, [result("bad", 2.0, status="PASS")])
    (said,) = confirm(tables, config, "r", DAY)
    assert (said.status, said.severity, said.observed) == ("ERROR", "warn", 1.0)
    assert "impressions.bad of 2026-02-06" in said.details


def test_the_newest_verdict_of_a_check_is_the_one_held_against_it(tables, config):
    stale = result("rate", 2.0, status="PASS")
    stale.checked_at = NOW - timedelta(hours=1)
    store(tables, [result("rate"), stale])
    (said,) = confirm(tables, config, "r", DAY)
    assert (said.status, said.rows) == ("PASS", 1)


@pytest.mark.parametrize("problem", [RuntimeError("boom"), SystemExit(0)])
def test_a_library_that_breaks_is_told_and_fails_nothing(tables, config, monkeypatch, problem):
    def breaks(name):
        raise problem

    monkeypatch.setattr("pipelines.quality.expectations.Validations", breaks)
    store(tables, [result()])
    (said,) = confirm(tables, config, "r", DAY)
    assert (said.status, said.severity) == ("ERROR", "warn")
    assert said.details.startswith("could not judge:")


def test_one_setting_switches_it_off(tables, config):
    config.quality.great_expectations = False
    store(tables, [result()])
    assert confirm(tables, config, "r", DAY) == []
    assert not documents(config, DAY).exists()


def test_a_folder_of_reports_may_be_named_from_where_one_is(tables, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config.storage.reports = "data/reports"
    store(tables, [result()])
    (said,) = confirm(tables, config, "r", DAY, [DAY])
    assert said.status == "PASS", said.details
    assert (tmp_path / "data/reports/great_expectations" / str(DAY) / "index.html").is_file()


def test_documents_of_old_days_go(tables, config):
    for back in (3, 2, 1):
        first = documents(config, DAY - timedelta(days=back))
        first.parent.mkdir(parents=True)
        first.write_text("")
    store(tables, [result()])
    confirm(tables, config, "r", DAY)
    kept = sorted(path.name for path in documents(config, DAY).parent.parent.iterdir())
    assert kept == [str(DAY - timedelta(days=1)), str(DAY)]
    prune(documents(config, DAY).parent.parent / "absent", 1)


def test_a_page_is_stripped_of_scripts_styles_and_pictures_from_elsewhere():
    page = (
        '<head><script src="https://a/x.js" integrity="x"></script><script>kept()</script>'
        "<style>a { background: url('https://e/dark.png') }</style>"
        '<link rel="stylesheet" href="http://b/x.css"></head>'
        '<img\n src="https://c/logo.png"\n alt="x"><a href="https://d">a link is not fetched</a>'
    )
    assert offline(page, "p{}") == (
        "<head><script>kept()</script><style>p{}</style></head>"
        '<a href="https://d">a link is not fetched</a>'
    )


def test_a_report_asks_only_where_there_is_news(tables, config):
    store(tables, [result()])
    for newer, count in ((0, 1), (0, 1), (1, 2)):
        if newer:
            again = result()
            store(tables, [replace(again, checked_at=datetime.now(UTC) + timedelta(hours=1))])
        confirm_news(tables, config, "r", DAY)
        checks = tables.read_arrow("quality_results")["check"].to_pylist()
        assert checks.count("great_expectations") == count
    assert documents(config, DAY).is_file()


def test_days_that_a_run_made_on_the_way_are_judged_with_it(tables, config):
    before = DAY - timedelta(days=1)
    store(tables, [result(day=DAY), result("bad", 2.0, before, status="PASS")])
    assert [r.rows for r in confirm(tables, config, "r", DAY)] == [1]
    (said,) = confirm(tables, config, "r", DAY, {before})
    assert (said.rows, said.status) == (2, "ERROR")
    assert confirm(tables, config, "another", DAY, {before})[-1].rows == 1


def test_results_that_cannot_be_kept_are_told_and_fail_nothing(tables, config, monkeypatch):
    def conflict(*_):
        raise OSError("disk full")

    store(tables, [result()])
    monkeypatch.setattr("jobs.reporting.expectations.record", conflict)
    (said,) = confirm(tables, config, "r", DAY)
    assert (said.status, said.details) == ("ERROR", "could not judge: OSError: disk full")

"""Findings: failed checks told once, by what has happened."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from jobs.planning.checks import listed_causes
from jobs.planning.own_quality import rules_of
from jobs.setup.environment import conf_directory
from jobs.storage.tables import Tables
from pipelines.quality.findings import CauseError, findings, load_causes
from pipelines.quality.results import QualityResult
from schemas.catalog import TABLES

DAY = date(2026, 2, 6)
CAUSES = load_causes(
    {
        "clicks stopped": {"explains": ["rates fell"], "do": "Land the clicks."},
        "rates fell": {"explains": ["miscalibrated"]},
        "miscalibrated": {},
        "rows are missing": {},
    }
)


def failed(check, cause, severity="warn", status="WARN", **changes):
    result = QualityResult(
        run_id="r", table="t", check=check, slice="", severity=severity, status=status,
        observed=1.0, expected="0", baseline=None, rows=1, details=None,
        checked_at=datetime(2026, 2, 7, tzinfo=UTC), ds=DAY, cause=cause,
    )  # fmt: skip
    return replace(result, **changes)


def test_checks_that_fail_for_one_cause_are_one_finding_as_severe_as_the_worst():
    (found,) = findings(
        [failed("a", "rates fell"), failed("b", "rates fell", "block", "FAIL")], CAUSES
    )
    assert (found.cause, found.severity) == ("rates fell", "block")
    assert [result.check for result in found.results] == ["b", "a"]


def test_what_a_cause_explains_is_listed_with_it_and_no_finding_of_its_own():
    (found,) = findings(
        [failed("a", "miscalibrated", "block"), failed("b", "clicks stopped")], CAUSES
    )
    assert (found.cause, found.do) == ("clicks stopped", "Land the clicks.")
    assert found.severity == "block"
    assert [result.check for result in found.consequences] == ["a"]


def test_causes_of_their_own_are_findings_of_their_own():
    found = findings([failed("a", "miscalibrated"), failed("b", "rows are missing")], CAUSES)
    assert {finding.cause for finding in found} == {"miscalibrated", "rows are missing"}
    later = failed("a", "clicks stopped", ds=date(2026, 2, 7))
    assert len(findings([later, failed("a", "miscalibrated")], CAUSES)) == 2


def test_what_passes_or_is_only_recorded_is_no_finding():
    assert findings([failed("a", "x", status="PASS"), failed("b", "x", "info")], CAUSES) == []


def test_a_check_without_a_cause_speaks_for_itself():
    (found,) = findings([failed("a", None, status="ERROR")], CAUSES)
    assert found.cause == "t.a"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"a": {"explains": ["b"]}}, "not listed"),
        ({"a": {"explains": ["b"]}, "b": {"explains": ["a"]}}, "itself"),
        ({"a": {"then": "b"}}, "then"),
    ],
)
def test_a_list_of_causes_that_says_nothing_clear_is_refused(content, says):
    with pytest.raises(CauseError, match=says):
        load_causes(content)


def test_every_cause_of_a_shipped_rule_is_listed_with_what_to_do():
    conf = conf_directory()
    causes = listed_causes(conf)
    named = {rule.cause for rules in rules_of(conf / "quality").values() for rule in rules.rule}
    assert named - {""} <= set(causes)
    assert all(cause.do for cause in causes.values())


def test_results_of_an_older_version_stay_and_say_no_cause(tmp_path):
    declared = TABLES["quality_results"]
    older = replace(
        declared, columns=tuple(c for c in declared.columns if c.name not in ("cause", "state"))
    )
    tables = Tables(str(tmp_path))
    from jobs.storage.creation import create_table

    create_table(tables.path("quality_results"), older)
    rows = [vars(failed("a", "rates fell"))]
    Tables(str(tmp_path)).write_rows("quality_results", rows, None)
    stored = tables.read_arrow("quality_results").to_pylist()
    assert [row["cause"] for row in stored] == ["rates fell"]

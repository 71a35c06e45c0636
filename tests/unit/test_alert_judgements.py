"""What checks, gates and runs have found becomes alerts after a run; none of it fails the run."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs import JOBS
from jobs.planning.planner import PlannedStep
from jobs.reporting import judging
from jobs.reporting.alert_log import read_alerts
from jobs.reporting.judgements import newest_results, of_results, of_run
from jobs.reporting.judging import Made, tell_run
from jobs.setup.config_layers import load_config
from jobs.setup.exits import InputMissing, LockHeld, QualityStop
from jobs.storage.tables import Tables
from pipelines.quality.alerts import Judgement, Problem
from pipelines.quality.findings import Cause
from pipelines.quality.results import QualityResult
from pipelines.quality.rule_files import load_rules
from tests.support.report_tables import BASES, DS, row, write_runs

CONFIG = load_config(environment={})
SEVERITIES = CONFIG.alerts.severity
AT = BASES["quality_results"]["checked_at"]
RULES = load_rules(
    {
        "listings.toml": {
            "table": "listings",
            "owner": "catalogue",
            "rule": [
                {"name": "rows", "kind": "count", "min": 1, "severity": "block",
                 "why": "nothing can be scored"},
                {"name": "prices", "kind": "count", "min": 1, "severity": "warn",
                 "why": "prices are features", "owner": "pricing"},
            ],
        }
    }
)  # fmt: skip
CAUSES = {
    "clicks stopped": Cause(explains=("rate changed",), do="look at the click log"),
    "rate changed": Cause(),
}


def result(check: str = "rows", **changes: Any) -> QualityResult:
    values = {"check": check, "table": "listings", "status": "FAIL", "observed": 0.0,
              "expected": ">= 1"}  # fmt: skip
    return QualityResult(**row("quality_results", **(values | changes)))


def judged(*results: QualityResult) -> list[Judgement]:
    return of_results(results, RULES, CAUSES, SEVERITIES)


def problems(*results: QualityResult) -> list[Problem]:
    return [problem for judgement in judged(*results) for problem in judgement.wrong]


def test_a_failed_check_says_how_far_off_why_it_matters_and_whose_it_is() -> None:
    (told,) = problems(result())
    assert told.what == "listings.rows: 0, expected >= 1"
    assert (told.why, told.owner, told.severity) == ("nothing can be scored", "catalogue", "page")
    assert told.stops
    (told,) = problems(result("prices", severity="warn", status="WARN"))
    assert (told.owner, told.severity, told.stops) == ("pricing", "ticket", False)


def test_a_ratio_to_nothing_is_told_in_words() -> None:
    told = result(observed=float("inf"), expected="<= 2", details="clicks 7, promised 0").told
    assert told == "out of all proportion, expected <= 2 (clicks 7, promised 0)"


def test_slices_of_a_check_are_one_problem_that_names_a_few() -> None:
    (told,) = problems(*(result(slice=f"s{n}") for n in range(9)))
    assert told.what.startswith("listings.rows of s0, s1, s2 and 6 more: ")


def test_what_a_cause_explains_is_one_alert_with_it() -> None:
    found = problems(
        result(cause="clicks stopped"),
        result("click_rate", table="labeled_impressions", cause="rate changed", severity="warn",
               status="WARN"),
    )  # fmt: skip
    assert {problem.cause for problem in found} == {"clicks stopped"}
    assert len(found) == 2
    assert {problem.fix for problem in found} == {"look at the click log"}


def test_skipped_checks_are_undecided_and_skipped_gates_are_over() -> None:
    check, gate = judged(
        result(status="SKIP"),
        result("gate:coverage", table="listing_scores", status="SKIP"),
    )
    assert (check.judge, set(check.undecided)) == ("checks of listings", {"listings.rows"})
    assert (gate.judge, set(gate.undecided)) == ("gates", set())


def test_only_what_the_newest_run_says_of_a_table_counts() -> None:
    old = result(run_id="old", checked_at=AT)
    gone = result("dropped_rule", run_id="old", checked_at=AT)
    new = result(run_id="new", status="PASS", checked_at=AT + timedelta(minutes=1))
    other = result(run_id="old", table="clicks", checked_at=AT)
    assert newest_results([old, gone, other, new]) == [new, other]


@pytest.mark.parametrize(
    ("problem", "severity"),
    [
        (ValueError("boom"), "page"),
        (InputMissing("no log has landed"), "ticket"),
        (LockHeld("another run"), None),
    ],
)
def test_a_run_that_broke_off_is_told_by_its_cause(problem: Exception, severity: str) -> None:
    found = of_run(problem, "train_joint", [DS], SEVERITIES)
    told = [(p.severity, p.what) for judgement in found for p in judgement.wrong]
    if severity is None:
        assert told == []
    else:
        ((said, what),) = told
        assert said == severity
        assert "train_joint" in what
        assert str(problem) in what


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    made = Tables(str(tmp_path))
    write_runs(made, stop_at="train_joint")
    return made


def told(tables: Tables, problem: Exception | None, days: list[date], *, job: str | None = None,
         at: str | None = None) -> list[str]:  # fmt: skip
    """Events of alerts after a run, and what is open."""
    said: list[str] = []
    # A step may make days that the run was not called for: clicks of the day after.
    making = PlannedStep(JOBS[at], (*days, days[-1] + timedelta(days=1)), {}) if at else None
    made = Made("run-1", AT, days, job, problem, making)
    tell_run(tables, CONFIG, made, said.append)
    return [f"{a.state} {a.key}" for a in read_alerts(tables).alerts.values()] + [
        line for line in said if line.startswith("alerts could not")
    ]


def test_a_run_that_ends_well_ends_the_alert_of_the_one_before(tables: Tables) -> None:
    assert told(tables, ValueError("x"), [DS], at="train_joint") == ["open run stopped"]
    # A job that is run alone says nothing of another one.
    assert told(tables, None, [DS], job="ingest_logs") == ["open run stopped"]
    assert told(tables, None, [DS - timedelta(days=1)]) == ["open run stopped"]
    assert told(tables, None, [DS]) == ["resolved run stopped"]


def test_a_day_stopped_by_a_check_is_told_once_by_the_check(tables: Tables) -> None:
    bad = row("quality_results", status="FAIL", observed=3.0, cause="ids repeat", state=None)
    tables.write_rows("quality_results", [bad], None)
    assert told(tables, QualityStop("stopped"), [DS], at="ingest_logs") == ["open ids repeat"]


def test_a_stop_that_no_check_explains_is_told_by_the_run(tables: Tables) -> None:
    stop = QualityStop("a model did not converge")
    assert told(tables, stop, [DS], at="train_models") == ["open run stopped"]


def test_publication_ends_what_was_told_of_the_day(tables: Tables) -> None:
    from jobs.reporting.alerting import Teller
    from jobs.reporting.told import tell_late, tell_raised

    for n, day in enumerate((DS, DS + timedelta(days=1))):
        teller = Teller(tables, CONFIG, lambda _: None)
        (tell_late if n else lambda t, d: tell_raised(t, "dag", d, "killed", "page"))(teller, day)
    published = row("runs", job="publish_scores", published=True)
    tables.write_rows("runs", [published], None)
    assert told(tables, None, [DS]) == ["resolved dag", "open publication is late"]


def test_alerts_that_cannot_be_told_never_fail_a_run(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(judging, "judgements", broken)
    assert told(tables, None, [DS]) == ["alerts could not be told: OSError: disk full"]


def test_nothing_is_written_after_a_run_without_news(tables: Tables) -> None:
    assert told(tables, None, [DS]) == []
    assert not tables.exists("alerts")

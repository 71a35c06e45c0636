"""The DAGs: what they call is what the commands take, and how tasks end is what the codes say."""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs import FLOW, WRITER
from jobs.__main__ import build_parser
from jobs.setup.exits import ExitCode
from tests.dags.look import DATES

DAGS = {"ctr_daily", "ctr_backfill", "ctr_check_sources", "ctr_maintain"}


@pytest.fixture
def planned(seen: dict[str, Any]) -> dict[str, Any]:
    """The DAGs with the planner as one task."""
    told: dict[str, Any] = seen["variables"]["planner"]
    return told


@pytest.fixture
def stepped(seen: dict[str, Any]) -> dict[str, Any]:
    """The DAGs with a task a job."""
    told: dict[str, Any] = seen["variables"]["steps"]
    return told


@pytest.fixture(params=["planner", "steps"])
def told(request: pytest.FixtureRequest, seen: dict[str, Any]) -> dict[str, Any]:
    """Either."""
    either: dict[str, Any] = seen["variables"][request.param]
    return either


def submitted(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Tasks that are submitted to Spark, by DAG and name."""
    return {
        f"{dag_id}.{name}": task
        for dag_id, dag in told["dags"].items()
        for name, task in dag["tasks"].items()
        if "application_args" in task["asked"]
    }


def of_no_day(name: str) -> set[date]:
    """Upkeep is of the warehouse as it is: the day that others are asked for is none of its."""
    return {date.fromisoformat(DATES[0])} if name == "ctr_maintain.maintain" else set()


def test_every_dag_is_there(told: dict[str, Any]) -> None:
    assert told["errors"] == []
    assert set(told["dags"]) == DAGS


def test_a_scheduler_needs_nothing_of_the_product_but_the_flow(seen: dict[str, Any]) -> None:
    assert seen["heavy"] == []


def test_every_argument_is_taken_by_the_parser_of_its_command(told: dict[str, Any]) -> None:
    for name, task in submitted(told).items():
        words = task["days"][0]["application_args"]
        parsed = build_parser(words[0]).parse_args(words)
        days = {getattr(parsed, day, None) for day in ("date", "start")} - {None}
        assert days == ({date.fromisoformat(DATES[0])} - of_no_day(name)), name
        assert parsed.root == "/shared/warehouse"
        assert parsed.landing == "s3://logs/landing"


def test_files_of_the_package_are_named_where_spark_finds_them(seen: dict[str, Any]) -> None:
    def run(variable: str) -> dict[str, Any]:
        fields: dict[str, Any] = submitted(seen["variables"][variable])["ctr_daily.run"]["days"][0]
        return fields

    on_worker, in_image = run("planner"), run("image")
    assert on_worker["application"] == "/package/promoted_ctr.py"
    assert on_worker["py_files"] == "/package/promoted-ctr.zip"
    assert on_worker["env_vars"] == {
        "PYSPARK_PYTHON": "./environment/bin/python",
        "PYSPARK_DRIVER_PYTHON": "/package/environment/bin/python",
    }
    assert in_image["application"] == "local:///opt/ctr/promoted_ctr.py"
    assert in_image["py_files"] == "local:///opt/ctr/promoted-ctr.zip"
    assert in_image["env_vars"] == {"PYSPARK_PYTHON": "/py", "PYSPARK_DRIVER_PYTHON": "/py"}


def test_the_log_day_is_the_start_of_the_interval_or_what_is_asked_for(
    told: dict[str, Any],
) -> None:
    for name, task in submitted(told).items():
        one, other, again = (day["application_args"] for day in task["days"])
        assert one == again
        differ = {(a, b) for a, b in zip(one, other, strict=True) if a != b}
        assert (DATES in differ) != bool(of_no_day(name)), name
        # The other difference is the name of the run.
        assert all(DATES[0] in a and DATES[1] in b for a, b in differ), name
        asked = task["asked"]["application_args"]
        assert (DATES[0] in asked) != bool(of_no_day(name))
        assert DATES[1] not in asked


def test_every_job_of_the_flow_is_a_step_after_those_it_reads_from(
    stepped: dict[str, Any],
) -> None:
    tasks = stepped["dags"]["ctr_daily"]["tasks"]
    assert [name for name in tasks if name in WRITER.values() or name == FLOW[-1].name] == [
        job.name for job in FLOW
    ]
    above = {name: set(task["upstream"]) for name, task in tasks.items()}
    for job in FLOW:
        today = {WRITER[read.table] for read in job.reads if read.end >= 0} - {job.name}
        earlier = [other.name for other in FLOW[: FLOW.index(job)]]
        assert today & set(earlier) <= above[job.name]
        assert above[job.name] <= {*earlier, "logs_landed"}
    # One run writes to a warehouse at a time.
    assert stepped["dags"]["ctr_daily"]["max_active_tasks"] == 1


def test_consumers_follow_the_task_that_publishes(
    planned: dict[str, Any], stepped: dict[str, Any]
) -> None:
    for told, task in ((planned, "run"), (stepped, "publish_scores")):
        giving = [n for n, t in told["dags"]["ctr_daily"]["tasks"].items() if t["outlets"]]
        assert giving == [task]
        assert told["dags"]["ctr_daily"]["tasks"][task]["outlets"] == ["listing_scores"]


def test_every_dag_has_a_runbook_and_every_task_an_end(told: dict[str, Any]) -> None:
    for dag_id, dag in told["dags"].items():
        assert dag["max_active_runs"] == 1
        assert all(f"| {int(code)} |" in dag["doc"] for code in ExitCode if code), dag_id
    for name, task in submitted(told).items():
        assert task["timeout"] == 6 * 3600, name
        assert task["callbacks"] == 1, name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unknown", "promoted_ctr has unknown colour: see docs/airflow.md"),
        ("wrong", "promoted_ctr: tasks is planner or steps: see docs/airflow.md"),
        ("lacking", "promoted_ctr lacks landing, root: see docs/airflow.md"),
    ],
)
def test_a_wrong_variable_is_an_import_error_that_says_what_to_do(
    seen: dict[str, Any], name: str, said: str
) -> None:
    errors = seen["variables"][name]["errors"]
    assert len(errors) == len(DAGS)
    assert all(text.strip().endswith(said) for text in errors)


def test_how_a_process_ends_says_what_becomes_of_its_task(seen: dict[str, Any]) -> None:
    fail, again, skip = "AirflowFailException", "AirflowException", "AirflowSkipException"
    # On the first, the second and the hundredth attempt.
    expected = {
        "0": ["", "", ""],
        "1": [again, fail, fail],
        "2": [fail, fail, fail],
        "10": [fail, fail, fail],
        "20": [again, again, fail],
        "30": [again, again, fail],
        "99": [skip, skip, skip],
        "143": [again, again, fail],
        "77": [again, fail, fail],
        "137": [again, again, fail],
        "-9": [again, again, fail],
        "-15": [again, again, fail],
    }
    assert {str(int(code)) for code in ExitCode} <= set(expected)
    assert seen["endings"]["became"] == expected
    said = seen["endings"]["said"]
    assert said["20"] == "run ended with 20: input not there or stale, or a store does not answer"
    assert said["0"] == "{'date': '2026-01-07'}"
    assert said["no connection"].startswith("AirflowFailException: there is no Spark connection")
    assert seen["endings"]["retries"] == 8


@pytest.mark.usefixtures("seen")
def test_a_failure_is_told_as_an_alert_that_the_command_takes(scratch: Path) -> None:
    calls = (scratch / "words").read_text().split(f"{scratch}/promoted_ctr.py\n")[1:]
    raised, resolved = (build_parser("alerts").parse_args(call.splitlines()) for call in calls)
    assert (raised.action, raised.key, raised.severity) == ("raise", "ctr_daily", "page")
    assert raised.what == "run: run ended with 143: terminated"
    assert (resolved.action, resolved.key) == ("resolve", "ctr_daily")
    for parsed in (raised, resolved):
        assert parsed.date == date(2026, 1, 7)
        assert (parsed.root, parsed.env) == ("/shared/warehouse", "prod")


def test_a_task_that_takes_too_long_is_stopped_for_good(
    seen: dict[str, Any], scratch: Path
) -> None:
    assert seen["endings"]["said"]["too long"] == (
        "AirflowFailException: run was stopped after 6 hours"
    )
    # What spark-submit had started has ended with it; somebody has yet to take note of that.
    driver = int((scratch / "driver").read_text())
    end = time.monotonic() + 20
    while _is_there(driver):
        assert time.monotonic() < end
        time.sleep(0.1)


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_logs_are_waited_for_in_folders_and_object_stores(seen: dict[str, Any]) -> None:
    # None of four is there, then one less with each file; all are too young at last.
    assert seen["folder"] == seen["store"] == [4, 3, 2, 1, 0, 4]
    assert seen["dated"] == ["a/2026/01/31/*.csv", "c-2026-01-31.jsonl", "c-2026-02-01.jsonl"]
    assert seen["deferred"] == {
        "timeout": 3600,
        "event": "landed after the last file",
        "then": None,
    }

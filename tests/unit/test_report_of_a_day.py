"""The report of a day that the jobs have made says what is in its tables."""

import json

import pytest

from jobs import FLOW
from jobs.reporting.collect import collect_report
from jobs.reporting.summary import write_report
from pipelines.quality.gates import GATE_MARK
from tests.unit.conftest import PUBLISHED

LAST = PUBLISHED[-1]


@pytest.fixture(scope="module")
def told(chain, tmp_path_factory):
    """The machine's report as it was written."""
    folder = tmp_path_factory.mktemp("reports")
    _, machine = write_report(collect_report(chain.tables, chain.config, LAST), str(folder))
    return json.loads(machine.read_text(encoding="utf-8"))


def test_it_is_of_the_day_and_says_whether_it_is_published(told, chain):
    assert told["ds"] == str(LAST)
    assert told["published"] is chain.records["publish_scores", LAST].published is True


def test_it_tells_every_step_and_how_many_rows_came_of_it(told, chain):
    assert [step["job"] for step in told["steps"]] == [job.name for job in FLOW]
    last = {step["job"]: step for step in told["steps"]}
    assert (last["score_listings"]["status"], last["score_listings"]["exit_code"]) == ("done", 0)
    scores = chain.tables.row_counts("listing_scores")
    assert told["scores"]["count"] == scores[LAST] > 0
    assert last["score_listings"]["rows_out"] == sum(scores.values())


def test_it_tells_the_gates_as_they_were_judged(told, chain):
    stored = chain.tables.read_arrow("quality_results", [LAST]).to_pylist()
    gates = [row for row in stored if row["check"].startswith(GATE_MARK)]
    assert {(gate["check"], gate["slice"]): gate["status"] for gate in told["gates"]} == {
        (gate["check"].removeprefix(GATE_MARK), gate["slice"]): gate["status"] for gate in gates
    }
    assert gates


def test_it_tells_the_metrics_that_are_stored(told, chain):
    stored = {
        (row["model"], row["segment"], row["metric"]): row["value"]
        for row in chain.tables.read_arrow("model_metrics", [LAST]).to_pylist()
    }
    assert {(m["model"], m["segment"], m["metric"]): m["value"] for m in told["metrics"]} == stored
    assert stored["published", "mixed", "calibration_ratio"] is not None

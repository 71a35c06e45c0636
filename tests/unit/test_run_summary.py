"""What machines are told of a run: lines, a JSON file beside the reports, and metrics."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from jobs import JOBS
from jobs.planning.planner import PlannedStep
from jobs.planning.record import now
from jobs.reporting.judging import Made
from jobs.reporting.progress import Lines
from jobs.reporting.run_summary import FILE, tell_machines
from jobs.setup.config import Config
from jobs.setup.exits import InputMissing, LockHeld
from tests.support.chain import Chain
from tests.unit.conftest import PUBLISHED

SAMPLE = re.compile(r'[a-z_]+(\{[a-z]+="[^"\n]*"\})? -?\d+(\.\d+)?')


@pytest.fixture
def told(chain: Chain, tmp_path: Path) -> Config:
    """A configuration with places of its own."""
    config = chain.config
    storage = config.storage.model_copy(update={"reports": str(tmp_path / "reports")})
    return config.model_copy(
        update={"storage": storage, "alerts": _with(config, str(tmp_path / "metrics" / "run.prom"))}
    )


def _with(config: Config, metrics: str) -> object:
    from dataclasses import replace

    return replace(config.alerts, metrics=metrics)


def test_a_run_leaves_a_summary_and_metrics(chain: Chain, told: Config, tmp_path: Path) -> None:
    said: list[str] = []
    tell_machines(chain.tables, told, Made("run", now(), list(PUBLISHED)), said.append)
    assert not said
    summary = json.loads((tmp_path / "reports" / FILE).read_text())
    assert summary["exit_code"] == 0
    assert summary["newest_published_day"] == str(PUBLISHED[-1])
    assert {step["job"] for step in summary["steps"]} == set(JOBS)
    assert summary["checks"]["PASS"] > 100
    lines = (tmp_path / "metrics" / "run.prom").read_text().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples), samples
    assert "promoted_ctr_run_exit_code 0" in samples
    assert any(line.startswith('promoted_ctr_step_rows{job="ingest_logs"} ') for line in samples)
    assert {p.name for p in (tmp_path / "metrics").iterdir()} == {"run.prom"}


def test_one_that_failed_says_why_and_one_that_waits_says_nothing(
    chain: Chain, told: Config, tmp_path: Path
) -> None:
    held = Made("other", now(), [PUBLISHED[-1]], problem=LockHeld("held"))
    tell_machines(chain.tables, told, held, lambda text: None)
    assert not (tmp_path / "reports").exists()
    failed = Made("other", now(), [PUBLISHED[-1]], problem=InputMissing("no\nlogs"))
    tell_machines(chain.tables, told, failed, lambda text: None)
    summary = json.loads((tmp_path / "reports" / FILE).read_text())
    assert (summary["exit_code"], summary["problem"], summary["steps"]) == (20, "no logs", [])


def test_what_cannot_be_written_is_said_and_stops_nothing(
    chain: Chain, told: Config, tmp_path: Path
) -> None:
    (tmp_path / "reports").touch()
    said: list[str] = []
    tell_machines(chain.tables, told, Made("run", now(), list(PUBLISHED)), said.append)
    assert len(said) == 1
    assert said[0].startswith("the summary of the run is not written: cannot write")


def test_lines_hold_run_job_and_day_and_no_line_can_be_forged() -> None:
    step = PlannedStep(JOBS["ingest_logs"], PUBLISHED, {})
    for as_json in (True, False):
        console = Console(file=io.StringIO(), width=80)
        lines = Lines(console, "r1", as_json=as_json)
        lines.failed(step, 1.0, ValueError("a\nevent=done x\x1b[2J"))
        (line,) = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
        if as_json:
            read = json.loads(line)
            assert (read["run_id"], read["job"]) == ("r1", "ingest_logs")
            assert (read["day"], read["days"]) == (str(PUBLISHED[-1]), len(PUBLISHED))
        else:
            assert f"run_id=r1 event=failed job=ingest_logs day={PUBLISHED[-1]} days=2 " in line
            assert 'problem="a event=done x' in line

"""Airflow in its own environment, and what it sees of the DAGs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".airflow" / "venv" / "bin" / "python"
ENDS = """#!/bin/sh
case $ENDING in
    sleep) sleep 600 & echo $! > "$(dirname "$0")/driver"; wait ;;
    -*) kill $ENDING $$ ;;
    *) exit $ENDING ;;
esac
"""
WRITES = '#!/bin/sh\nprintf "%s\\n" "$@" >> "$(dirname "$0")/words"\n'
SOURCE = """
[views.a]
path = "a/{ds:%Y/%m/%d}/*.csv"
[views.c]
path = "c-{ds}.jsonl"
[logs.impressions]
views = ["a"]
[logs.clicks]
views = ["c"]
"""


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own; skipped where Airflow could not be installed."""
    if not PYTHON.exists():
        pytest.skip("there is no Airflow in .airflow/venv: make airflow-env")
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scheduler is given to look at: programs, and a source with other paths."""
    folder = tmp_path_factory.mktemp("scratch")
    for name, text in (("spark-submit", ENDS), ("python", WRITES)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "source").mkdir()
    (folder / "source" / "source.toml").write_text(SOURCE)
    return folder


@pytest.fixture(scope="session")
def seen(airflow_home: Path, scratch: Path) -> dict[str, Any]:
    """What `tests.dags.look` tells, from the environment of Airflow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    ended = subprocess.run(
        [str(PYTHON), "-m", "tests.dags.look", str(scratch)],
        cwd="/",
        env=kept
        | {
            "AIRFLOW_HOME": str(airflow_home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
            "AIRFLOW_CONN_PROMOTED_CTR_SPARK": '{"conn_type": "spark", "host": "local[1]"}',
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-1000:] + ended.stderr[-3000:]
    told: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return told

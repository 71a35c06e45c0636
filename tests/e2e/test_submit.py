"""Every job file is a script for spark-submit, from any directory."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

from jobs import FLOW
from jobs.setup.jars import ensure_delta_jars
from tests.e2e.conftest import DAYS
from tests.support.world import Warehouse, day

JOBS = Path(__file__).parents[2] / "jobs"
LAST = day(DAYS)


def test_every_job_file_takes_the_arguments_of_its_command() -> None:
    for job in FLOW:
        module = importlib.import_module(f"jobs.{job.name}")
        assert module.main(["--date", "today"]) == 2, job.name
        assert (
            (JOBS / f"{job.name}.py")
            .read_text()
            .endswith('if __name__ == "__main__":\n    leave(main())\n')
        )


def test_spark_submit_runs_a_job_file_from_elsewhere(copied: Warehouse, made: Warehouse) -> None:
    version = copied.tables.version("entity_history")
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SPARK_HOME")}
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "spark-submit"), "--master", "local[1]"),
            *("--jars", ",".join(str(jar) for jar in ensure_delta_jars())),
            *(str(JOBS / "build_history.py"), "--date", str(LAST), "--force", *copied.places),
        ],
        cwd="/",
        env=environment | {"PYSPARK_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert copied.tables.version("entity_history") > version
    assert copied.rows("entity_history", LAST) == made.rows("entity_history", LAST)

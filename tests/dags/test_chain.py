"""The real chain by Airflow: a sensor, a spark-submit, published days, a look, upkeep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs import FLOW
from jobs.setup.package import write_package
from tests.dags.conftest import ROOT
from tests.support.cluster import QUICK
from tests.support.world import Warehouse, World, day, tiny

DAYS = 4


@pytest.mark.slow
def test_airflow_waits_publishes_checks_and_maintains_by_spark_submit(
    airflow_home: Path, tmp_path: Path
) -> None:
    write_package(tmp_path / "package", environment=False)
    world = World.make(tmp_path, tiny(DAYS))
    made = Warehouse(tmp_path / "warehouse", world.landing)
    variable = {
        "package": str(tmp_path / "package"),
        "root": str(made.root),
        "landing": str(made.landing),
        "arguments": ["--env", "dev", "--set", f"storage.reports={str(made.reports)!r}"],
        "python": sys.executable,
        "spark_binary": str(Path(sys.executable).with_name("spark-submit")),
        "spark": {
            "spark.driver.memory": "1g",
            "spark.driver.extraJavaOptions": QUICK,
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.databricks.delta.snapshotPartitions": "2",
        },
        "quiet_minutes": 0,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment = kept | {
        "AIRFLOW_HOME": str(airflow_home),
        "AIRFLOW_VAR_PROMOTED_CTR": json.dumps(variable),
    }

    def airflow(*words: str) -> str:
        said = tmp_path / "said"
        with said.open("w") as output:
            process = subprocess.Popen(
                [str(ROOT / "conf" / "airflow" / "laptop.sh"), *words],
                cwd="/",
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                code = process.wait(timeout=600)
            finally:
                # A task that is to be tried again is waited for without end.
                process.kill()
        assert code == 0, said.read_text()[-3000:]
        return said.read_text()

    airflow("db", "migrate")
    asked = json.dumps({"date": str(day(DAYS))})
    told = airflow("dags", "test", "ctr_daily", "--conf", asked)
    assert "state=success" in told
    runs = made.tables.read_arrow("runs").to_pylist()
    assert {row["job"] for row in runs if row["ds"] == day(DAYS)} == {job.name for job in FLOW}
    assert published(runs) == [day(DAYS)]
    assert all(row["run_id"].startswith("ctr_daily-run-manual__") for row in runs)

    span = json.dumps({"start": str(day(DAYS - 1)), "end": str(day(DAYS))})
    assert "state=success" in airflow("dags", "test", "ctr_backfill", "--conf", span)
    later = [row for row in made.tables.read_arrow("runs").to_pylist() if row not in runs]
    # The last day is made already.
    assert published(later) == [day(DAYS - 1)]
    assert all(row["run_id"].startswith("ctr_backfill-backfill-manual__") for row in later)

    before = made.tables.version("runs")
    assert "state=success" in airflow("dags", "test", "ctr_check_sources", "--conf", asked)
    assert made.tables.version("runs") == before

    files, rows = made.tables.delta("runs").file_uris(), runs + later
    assert "state=success" in airflow("dags", "test", "ctr_maintain")
    assert len(made.tables.delta("runs").file_uris()) < len(files)
    order = [("ended", "ascending"), ("job", "ascending"), ("ds", "ascending")]
    kept = made.tables.read_arrow("runs").sort_by(order).to_pylist()
    assert kept == sorted(rows, key=lambda row: [row[name] for name, _ in order])


def published(runs: list[dict[str, object]]) -> list[object]:
    """The days that runs have published."""
    return [row["ds"] for row in runs if row["published"]]

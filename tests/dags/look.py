"""What the scheduler's own Python sees of the DAGs: ``python -m tests.dags.look FOLDER`` tells it.

Runs in the environment of Airflow, which has none of the product's packages, and once for all
tests: to import Airflow takes longer than all that is asked of it.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

DATES = ("2026-01-07", "2026-02-28")
ENDINGS = ("0", "1", "2", "10", "20", "30", "99", "143", "77", "137", "-9", "-15")
ATTEMPTS = (1, 2, 100)
PLACES = {"package": "/package", "root": "/shared/warehouse", "landing": "s3://logs/landing"}
VARIABLES: dict[str, dict[str, Any]] = {
    "planner": {**PLACES, "arguments": ["--env", "prod"]},
    "steps": {**PLACES, "tasks": "steps", "sources": ["a", "/b/c"]},
    "image": {**PLACES, "image": "local:///opt/ctr", "deploy_mode": "cluster", "python": "/py"},
    "unknown": {**PLACES, "colour": "red"},
    "wrong": {**PLACES, "tasks": "one"},
    "lacking": {"package": "/package"},
}
DAY = date(2026, 1, 31)
NOW = timedelta(0)


def context(dag_id: str, task_id: str, ds: str, attempt: int = 1, **params: Any) -> dict[str, Any]:
    """As much of a task's context as tasks and templates name."""
    start = datetime.fromisoformat(ds).replace(tzinfo=UTC)
    return {
        "dag": SimpleNamespace(dag_id=dag_id),
        "ti": SimpleNamespace(dag_id=dag_id, task_id=task_id, try_number=attempt),
        "params": {"date": None, **params},
        "data_interval_start": start,
        "data_interval_end": start + timedelta(days=1),
        "run_id": f"scheduled__{ds}T00:00:00+00:00",
    }


def rendered(task: Any, ds: str, **params: Any) -> dict[str, Any]:
    """The templated fields of a task for a day."""
    task = copy.deepcopy(task)
    task.render_template_fields(context(task.dag_id, task.task_id, ds, **params))
    return {name: getattr(task, name) for name in task.template_fields}


def dags(folder: str) -> dict[str, Any]:
    """Every DAG of a folder, by each variable."""
    from airflow.dag_processing.dagbag import DagBag

    told = {}
    for name, value in VARIABLES.items():
        os.environ["AIRFLOW_VAR_PROMOTED_CTR"] = json.dumps(value)
        bag = DagBag(folder)
        told[name] = {
            "errors": list(bag.import_errors.values()),
            "dags": {dag_id: described(dag) for dag_id, dag in bag.dags.items()},
        }
    return told


def described(dag: Any) -> dict[str, Any]:
    """A DAG and its tasks."""
    ds, other = DATES
    return {
        "doc": dag.doc_md,
        "max_active_runs": dag.max_active_runs,
        "max_active_tasks": dag.max_active_tasks,
        "tasks": {
            task.task_id: {
                "upstream": sorted(task.upstream_task_ids),
                "timeout": (task.execution_timeout or timedelta()).total_seconds(),
                "callbacks": len(task.on_failure_callback or ()),
                "outlets": [asset.name for asset in task.outlets],
                "days": [rendered(task, day, start=day, end=day) for day in (ds, other, ds)],
                "asked": rendered(task, other, date=ds, start=ds, end=ds),
            }
            for task in dag.tasks
        },
    }


def endings(script: str) -> dict[str, Any]:
    """What a task makes of each way in which its process can end, on some attempts."""
    from airflow.sdk.execution_time.timeout import timeout

    from jobs.dags.settings import Settings
    from jobs.dags.tasks import LISTING_SCORES, Submit

    settings = Settings(**PLACES, spark_binary=script)
    became: dict[str, list[str]] = {}
    said: dict[str, str] = {}
    for ending in ENDINGS:
        os.environ["ENDING"] = ending
        for attempt in ATTEMPTS:
            task = Submit(
                task_id="run", settings=settings, command=["run"], outlets=[LISTING_SCORES]
            )
            events = {LISTING_SCORES: SimpleNamespace(extra={})}
            values = context("d", "run", DATES[0], attempt) | {"outlet_events": events}
            try:
                task.execute(values)  # type: ignore[arg-type]
                name, text = "", str(events[LISTING_SCORES].extra)
            except Exception as problem:
                name, text = type(problem).__name__, str(problem)
            became.setdefault(ending, []).append(name)
            said.setdefault(ending, text)
    os.environ["ENDING"] = "sleep"
    try:
        with timeout(0.5):
            task.execute(values)  # type: ignore[arg-type]
    except Exception as problem:
        said["too long"] = f"{type(problem).__name__}: {problem}"
    del os.environ["AIRFLOW_CONN_PROMOTED_CTR_SPARK"]
    try:
        task.execute(values)  # type: ignore[arg-type]
    except Exception as problem:
        said["no connection"] = f"{type(problem).__name__}: {problem}"
    return {"became": became, "said": said, "retries": task.retries}


def callbacks(package: str, python: str) -> None:
    """A failure and its end are told, by a Python that is there and by one that is not."""
    from jobs.dags.settings import Settings
    from jobs.dags.tasks import resolver, teller

    for chosen in (python, "/none/python"):
        settings = Settings(
            **PLACES | {"package": package},
            python=chosen,
            spark_binary="/none/bin/spark-submit",
            arguments=("--env", "prod"),
        )
        failure = RuntimeError("run ended with 143: terminated\nand more")
        values: Any = context("ctr_daily", "run", DATES[0])
        teller(settings)(values | {"exception": failure})
        resolver(settings)(values)


def files_of(address: str) -> list[str]:
    """The files that make the day whole, in the order in which they land."""
    folders = [f"{log}/ds=2026-01-31" for log in ("impressions", "clicks", "listings")]
    return [f"{address}/{folder}/part-0.parquet" for folder in (*folders, "clicks/ds=2026-02-01")]


def land(path: str) -> None:
    """Write a file anywhere."""
    import fsspec

    system, inside = fsspec.core.url_to_fs(path)
    system.makedirs(inside.rpartition("/")[0], exist_ok=True)
    system.pipe(inside, b"rows")


def waited(address: str) -> list[int]:
    """How many logs are missing: with a hidden file only, after each file, and if it must rest."""
    from jobs.dags.landed import missing, patterns

    wanted = patterns("canonical", DAY)
    land(f"{address}/impressions/ds=2026-01-31/_temporary")
    told = [len(missing(address, wanted, NOW))]
    for path in files_of(address):
        land(path)
        told.append(len(missing(address, wanted, NOW)))
    return [*told, len(missing(address, wanted, timedelta(hours=1)))]


def put_off(address: str) -> dict[str, Any]:
    """A sensor that is deferred, its trigger in another process's place, and how it goes on."""
    from airflow.sdk.exceptions import TaskDeferred

    from jobs.dags.landed import LandedTrigger, LogsLanded

    *early, late = files_of(address)
    for path in early:
        land(path)
    sensor: Any = LogsLanded(
        task_id="logs_landed",
        day=str(DAY),
        landing=address,
        source="canonical",
        quiet=NOW,
        poke_interval=0.1,
        timeout=3600,
    )
    try:
        sensor.execute({})
    except TaskDeferred as deferred:
        path, values = deferred.trigger.serialize()
        assert path == f"{LandedTrigger.__module__}.{LandedTrigger.__name__}"
        event = asyncio.run(fired(LandedTrigger(**json.loads(json.dumps(values))), late))
        getattr(sensor, deferred.method_name)({}, event=event)
        wait = deferred.timeout.total_seconds() if deferred.timeout else None
        return {"timeout": wait, "event": event, "then": sensor.execute({})}
    return {}


async def fired(trigger: Any, late: str) -> str:
    """What a trigger says once the last file is there."""

    async def land_later() -> None:
        await asyncio.sleep(0.3)
        land(late)

    landing = asyncio.create_task(land_later())
    async for event in trigger.run():
        return f"{event.payload} {'after' if landing.done() else 'before'} the last file"
    return "never"


def main() -> None:
    """Tell all of it as one line of JSON."""
    folder = Path(sys.argv[1])
    logging.disable(logging.CRITICAL)
    from jobs.dags.landed import patterns

    told = {
        "variables": dags(str(Path(__file__).parents[2] / "jobs" / "dags")),
        "heavy": sorted({"pyspark", "pipelines", "schemas", "numpy", "pyarrow"} & set(sys.modules)),
        "endings": endings(str(folder / "spark-submit")),
        "folder": waited(str(folder / "landing")),
        "store": waited("memory://bucket/landing"),
        "dated": patterns(str(folder / "source"), DAY),
        "deferred": put_off(str(folder / "later")),
    }
    callbacks(str(folder), str(folder / "python"))
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main()

"""The flow as tasks: commands of promoted-ctr under spark-submit, and what their failures tell."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psutil
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Asset, Connection, Context, CronDataIntervalTimetable, Param
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from jobs import FLOW, WRITER
from jobs.dags.exit_codes import MEANING, RETRIES, SKIP, exit_code, is_final
from jobs.dags.landed import LogsLanded
from jobs.dags.settings import SEE, Settings

CONNECTION = "promoted_ctr_spark"
"""The Spark connection that names the master."""

LISTING_SCORES = Asset("listing_scores")
"""Updated when a day is published; DAGs of consumers are scheduled by it."""

DAY = "{{ params.date or data_interval_start.strftime('%Y-%m-%d') }}"
"""The log day: the start of the data interval, or the one that somebody asks for."""

RUN_ID = "{{ dag.dag_id }}-{{ ti.task_id }}-{{ run_id | replace(':', '') | replace('+', '-') }}"

ARCHIVE = "environment.tar.gz#environment"
"""The environment, and the folder that executors unpack it into."""

Severity = Literal["page", "ticket"]

log = logging.getLogger(__name__)


def every_day(settings: Settings) -> dict[str, Any]:
    """What DAGs have in common whose runs are log days, each as of `DAY`."""
    return {
        # The data interval of midnight to midnight, UTC, is the log day; a run starts when it ends.
        "schedule": CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
        "start_date": datetime.fromisoformat(settings.start).replace(tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "params": {"date": Param(None, type=["null", "string"], format="date", title="log day")},
        "tags": ["promoted-ctr"],
    }


class Submit(SparkSubmitOperator):
    """A command of promoted-ctr under spark-submit; its exit code says whether to try again."""

    def __init__(
        self,
        *,
        settings: Settings,
        command: Sequence[str],
        severity: Severity = "page",
        **more: Any,
    ) -> None:
        python = settings.python or "./environment/bin/python"
        driver = python if settings.deploy_mode == "cluster" else settings.client_python
        super().__init__(
            conn_id=CONNECTION,
            spark_binary=settings.spark_binary,
            application=settings.submitted("promoted_ctr.py"),
            application_args=list(command),
            py_files=settings.submitted("promoted-ctr.zip"),
            archives=None if settings.python else settings.submitted(ARCHIVE),
            jars=",".join(settings.submitted(f"jars/{name}") for name in settings.jars) or None,
            properties_file=settings.file("cluster.conf"),
            conf=settings.spark,
            env_vars={"PYSPARK_PYTHON": python, "PYSPARK_DRIVER_PYTHON": driver},
            deploy_mode=settings.deploy_mode,
            # A driver that outlived its task is found by the warehouse's lock: exit code 30.
            durable=False,
            name="{{ dag.dag_id }}.{{ ti.task_id }}",
            execution_timeout=timedelta(hours=settings.run_hours),
            retries=max(RETRIES.values()),
            retry_delay=timedelta(minutes=5),
            retry_exponential_backoff=2,
            max_retry_delay=timedelta(hours=1),
            on_failure_callback=teller(settings, severity),
            **more,
        )

    def execute(self, context: Context) -> None:
        """Submit, wait, and say by the exit code what is to become of the task.

        Raises
        ------
        AirflowSkipException, AirflowFailException, AirflowException
            Nothing to do; no further attempt; another attempt after a while.
        """
        try:
            Connection.get(CONNECTION)
        except AirflowNotFoundException:
            # The hook would go on with YARN.
            raise AirflowFailException(
                f"there is no Spark connection {CONNECTION}, which names the master: {SEE}"
            ) from None
        try:
            super().execute(context)
        except AirflowTaskTimeout:
            self.on_kill()
            hours = self.execution_timeout / timedelta(hours=1) if self.execution_timeout else 0
            raise AirflowFailException(
                f"{self.application_args[0]} was stopped after {hours:g} hours"
            ) from None
        except AirflowException as failed:
            code = exit_code(str(failed))
            told = f"{self.application_args[0]} ended with {code}: {MEANING.get(code, MEANING[1])}"
            if code == SKIP:
                raise AirflowSkipException(told) from failed
            if is_final(code, context["ti"].try_number):
                raise AirflowFailException(told) from failed
            raise AirflowException(told) from failed
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"date": _day(context)}

    def on_kill(self) -> None:
        """End the driver too: spark-submit, killed, leaves it behind with the warehouse's lock."""
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        super().on_kill()


def daily_tasks(settings: Settings) -> None:
    """Wait for the logs of a day, then make and publish it."""
    landed = LogsLanded(
        task_id="logs_landed",
        day=DAY,
        landing=settings.landing,
        source=settings.source,
        quiet=timedelta(minutes=settings.quiet_minutes),
        poke_interval=60,
        timeout=timedelta(hours=settings.landing_hours).total_seconds(),
        # Of what a scheduler does to its tasks; logs that do not land in time fail it at once.
        retries=3,
        retry_delay=timedelta(minutes=1),
        on_failure_callback=teller(settings),
    )
    day = ["--date", DAY, *settings.common, "--run-id", RUN_ID]
    if settings.tasks == "planner":
        landed >> Submit(
            task_id="run",
            settings=settings,
            command=["run", *day],
            outlets=[LISTING_SCORES],
            on_success_callback=resolver(settings),
        )
        return
    made: dict[str, Submit] = {}
    for job in FLOW:
        made[job.name] = Submit(
            task_id=job.name,
            settings=settings,
            command=[job.name, *day],
            outlets=[] if job.writes else [LISTING_SCORES],
            on_success_callback=None if job.writes else resolver(settings),
        )
        before = {WRITER[read.table] for read in job.reads} & set(made) - {job.name}
        for name in before:
            made[name] >> made[job.name]
        if not before:
            landed >> made[job.name]
    report = ["report", "--date", DAY, *settings.common]
    made[FLOW[-1].name] >> Submit(
        task_id="report",
        settings=settings,
        command=report,
        severity="ticket",
        trigger_rule="all_done",
    )


def teller(settings: Settings, severity: Severity = "page") -> Callable[[Context], None]:
    """A callback that raises an alert for a task that has failed for good.

    All tasks of a DAG share one alert, for the first that fails stops the rest.
    """

    def tell(context: Context) -> None:
        reason = str(context.get("exception") or "no reason was told").splitlines()[0]
        words = ["--severity", severity, "--what", f"{context['ti'].task_id}: {reason}"[:500]]
        call_alerts(settings, "raise", context, words)

    return tell


def resolver(settings: Settings) -> Callable[[Context], None]:
    """A callback that tells that what was raised of this day or an earlier one is over."""

    def resolve(context: Context) -> None:
        call_alerts(settings, "resolve", context, [])

    return resolve


def call_alerts(settings: Settings, action: str, context: Context, words: Sequence[str]) -> None:
    """``promoted-ctr alerts``, without Spark.

    It raises no exception: what goes wrong here is in the log, and the task stays as it is.
    """
    # Where Spark's Python side is not among the packages it is beside spark-submit.
    beside = Path(settings.spark_binary).resolve().parents[1] / "python" / "lib"
    path = [settings.file("promoted-ctr.zip"), *map(str, sorted(beside.glob("*.zip")))]
    command = [settings.client_python, settings.file("promoted_ctr.py"), "alerts", action]
    about = ["--key", context["ti"].dag_id, "--date", _day(context), *words]
    try:
        subprocess.run(
            [*command, *about, "--root", settings.root, *settings.arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            stdin=subprocess.DEVNULL,
            timeout=120,
            check=True,
        )
    except Exception:
        log.exception("alerts %s did not end well; the task stays as it is", action)


def _day(context: Context) -> str:
    asked = context["params"].get("date") or context["params"].get("end")
    return str(asked or context["data_interval_start"].strftime("%Y-%m-%d"))

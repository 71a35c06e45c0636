"""Airflow DAG `ctr_maintain`: upkeep of the warehouse, once a week."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronTriggerTimetable

from jobs.dags.exit_codes import table
from jobs.dags.settings import Settings
from jobs.dags.tasks import RUN_ID, Submit

RUNBOOK = f"""\
Merges small files, sums up the logs of tables and removes files that no version of the last 90 days
holds. Rows do not change, and no day is made again. It and runs never write at once: the second
ends with 30 and tries again.

{table()}
"""

settings = Settings.load()

with DAG(
    "ctr_maintain",
    description="Upkeep of the warehouse: small files, long logs, what nobody needs any more",
    doc_md=RUNBOOK,
    # At noon, when the day's run has long ended.
    schedule=CronTriggerTimetable("0 12 * * SUN", timezone="UTC"),
    start_date=datetime.fromisoformat(settings.start).replace(tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["promoted-ctr"],
) as dag:
    Submit(
        task_id="maintain",
        settings=settings,
        severity="ticket",
        command=["maintain", *settings.common, "--run-id", RUN_ID],
    )

"""Airflow DAG `ctr_daily`: make and publish each log day."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from jobs.dags.settings import Settings
from jobs.dags.tasks import daily_tasks

RUNBOOK = """
Makes and publishes one log day: the start of the data interval, or the parameter `date`.
"""

settings = Settings.load()

with DAG(
    "ctr_daily",
    description="Click probabilities of promoted listings: make and publish a log day",
    doc_md=RUNBOOK,
    # The data interval of midnight to midnight, UTC, is the log day; a run starts when it ends.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime.fromisoformat(settings.start).replace(tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    # One run writes to a warehouse at a time.
    max_active_tasks=1,
    params={"date": Param(None, type=["null", "string"], format="date", title="log day")},
    render_template_as_native_obj=False,
    tags=["promoted-ctr"],
) as dag:
    daily_tasks(settings)

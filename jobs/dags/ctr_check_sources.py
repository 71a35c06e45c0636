"""Airflow DAG `ctr_check_sources`: are the raw logs still what their sources say?"""

from __future__ import annotations

from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from jobs.dags.settings import Settings
from jobs.dags.tasks import DAY, Submit

RUNBOOK = """
"""

settings = Settings.load()

with DAG(
    "ctr_check_sources",
    description="Check the raw logs of a day against their sources; writes nothing",
    doc_md=RUNBOOK,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime.fromisoformat(settings.start).replace(tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    params={"date": Param(None, type=["null", "string"], format="date", title="log day")},
    tags=["promoted-ctr"],
) as dag:
    for name in settings.sources or (settings.source,):
        Submit(
            task_id=f"check_{name.rpartition('/')[2]}",
            settings=settings,
            command=["check-source", name, "--date", DAY, *settings.common],
        )

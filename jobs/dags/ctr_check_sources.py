"""Airflow DAG `ctr_check_sources`: whether raw logs are still what their sources say."""

from __future__ import annotations

from airflow.sdk import DAG

from jobs.dags.exit_codes import table
from jobs.dags.settings import Settings
from jobs.dags.tasks import DAY, Submit, every_day

RUNBOOK = f"""\
Looks at a day of raw logs through each source, column by column, and writes nothing. It holds back
nothing: `ctr_daily` refuses bad rows by itself and keeps them in `quarantine`.

- **10**: a log or column is wrong; the task's log has a table of what and how many rows. Ask
  whoever writes that log, or mend the source's SELECT.

{table()}
"""

settings = Settings.load()

with DAG(
    "ctr_check_sources",
    description="Check the raw logs of a day against their sources; writes nothing",
    doc_md=RUNBOOK,
    **every_day(settings),
) as dag:
    for name in settings.sources or (settings.source,):
        Submit(
            task_id=f"check_{name.rpartition('/')[2]}",
            settings=settings,
            severity="ticket",
            command=["check-source", name, "--date", DAY, *settings.common],
        )

"""Airflow DAG `ctr_daily`: make and publish each log day."""

from __future__ import annotations

from airflow.sdk import DAG

from jobs.dags.exit_codes import table
from jobs.dags.settings import Settings
from jobs.dags.tasks import daily_tasks, every_day

RUNBOOK = f"""\
Makes and publishes one log day: the start of the data interval, midnight to midnight UTC.

- **Waits for logs** (`logs_landed` is deferred): the task's log names what is missing. They will
  not come? Mark the run failed; consumers keep the last good scores.
- **Another day**: `ctr_backfill` with that day as start and end. A run that waits does not hold it.
- **Again**: clear the failed task. What is made and up to date is left alone.
- **Published?** `promoted-ctr runs --date D`; the asset `listing_scores` has an event of the date.
- **Told by**: an alert where a task fails for good; `promoted-ctr alerts` lists them.

{table()}
"""

settings = Settings.load()

with DAG(
    "ctr_daily",
    description="Click probabilities of promoted listings: make and publish a log day",
    doc_md=RUNBOOK,
    # One run writes to a warehouse at a time.
    max_active_tasks=1,
    **every_day(settings),
) as dag:
    daily_tasks(settings)

"""Airflow DAG `ctr_backfill`: make and publish every day of a range, when somebody asks for it."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from jobs.dags.exit_codes import table
from jobs.dags.settings import Settings
from jobs.dags.tasks import RUN_ID, Submit, resolver

RUNBOOK = f"""\
Makes and publishes every day of a range: trigger it with `start` and `end`, both inclusive.

- Days that are made and up to date are left alone, so a backfill that was stopped goes on where it
  stopped: clear the task, or trigger the same range again.
- A changed setting or mended logs: the same range makes what depends on them, and nothing else.
- It and `ctr_daily` never write at once: the second ends with 30 and tries again.

{table()}
"""

settings = Settings.load()

with DAG(
    "ctr_backfill",
    description="Click probabilities of promoted listings: make and publish a range of days",
    doc_md=RUNBOOK,
    schedule=None,
    max_active_runs=1,
    params={
        "start": Param(type="string", format="date", title="first log day"),
        "end": Param(type="string", format="date", title="last log day, inclusive"),
    },
    tags=["promoted-ctr"],
) as dag:
    days = ["--start", "{{ params.start }}", "--end", "{{ params.end }}"]
    Submit(
        task_id="backfill",
        settings=settings,
        severity="ticket",
        on_success_callback=resolver(settings),
        command=["backfill", *days, *settings.common, "--run-id", RUN_ID],
    )

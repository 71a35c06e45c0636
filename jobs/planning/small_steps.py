"""Which steps are so small that Spark would cost more than it does."""

from __future__ import annotations

from jobs.landing.sources import Source
from jobs.planning.landed_logs import LANDED
from jobs.planning.planner import PlannedStep
from jobs.setup.config import Config
from jobs.setup.session import is_submitted
from jobs.storage.tables import Tables

_BYTES_A_ROW = 64
"""Of a landing file, about: nothing is read to find out how many rows a log has."""


def is_small(planned: PlannedStep, config: Config, source: Source, tables: Tables) -> bool:
    """Whether a step is made where this process is: its days' traffic is small.

    Not on a cluster, nor under spark-submit, where the session is there and its workers have the
    memory.
    """
    if is_submitted() or not config.spark.master.startswith("local["):
        return False
    return _impressions(planned, source, tables) <= config.spark.small_rows


def _impressions(planned: PlannedStep, source: Source, tables: Tables) -> int:
    if planned.job.name != "ingest_logs":
        return sum(tables.row_counts("impressions", planned.days).values())
    landed = (file for log in LANDED for day in planned.days for file in source.files(log, day))
    return sum(size for _, size, _ in landed) // _BYTES_A_ROW

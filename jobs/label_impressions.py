"""Label the impressions of a day, by one fixed definition.

Grain: impression. A day's labels are final at the cut-off; later clicks are counted for the
completeness report and restate nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta

import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs.runtime.job import job_main
from jobs.runtime.step import DayRecord, Outcome, Step
from pipelines.logs.labels_spark import bursts, first_clicks, label_impressions


def run(step: Step) -> Outcome:
    """Label all days of the step in one go."""
    labels = step.config.labels
    days = list(step.days)
    clicks = step.tables.read("clicks", [*days, days[-1] + timedelta(days=1)]).where(
        F.col("impression_ds").between(F.lit(days[0]), F.lit(days[-1]))
    )
    first = first_clicks(
        clicks, click_window_hours=labels.click_window_hours, cutoff_hours=labels.cutoff_hours
    )
    found = bursts(
        first,
        max_clicks_per_user_and_listing=labels.max_clicks_per_user_and_listing,
        max_clicks_per_user=labels.max_clicks_per_user,
    ).toArrow()
    invalid = step.spark.createDataFrame(found) if len(found) else None
    labeled = label_impressions(step.tables.read("impressions", days), first, invalid)
    step.tables.write("labeled_impressions", labeled, days)
    outcome = _completeness(step)
    for day in days:
        flagged = sum(row["ds"] == day for row in found.to_pylist())
        outcome[day].details["invalid_traffic_bursts"] = flagged
    return outcome


def _completeness(step: Step) -> Outcome:
    """Clicks that came before the cut-off and after it, for the days whose clicks are all in."""
    days = list(step.days)
    window = step.config.labels.click_window_hours
    before = timedelta(hours=24 + step.config.labels.cutoff_hours)
    clicks = step.tables.read_arrow(
        "clicks",
        [days[0] + timedelta(days=back) for back in range(len(days) + 2)],
        columns=["ts", "impression_ds"],
    )
    late_s = pc.divide(
        pc.subtract(
            pc.cast(pc.cast(clicks["ts"], "timestamp[us]"), "int64"),
            pc.cast(pc.cast(clicks["impression_ds"], "timestamp[us]"), "int64"),
        ),
        1_000_000,
    )
    outcome: Outcome = {}
    for day in days:
        of_day = pc.equal(clicks["impression_ds"], day)
        delays = late_s.filter(of_day)
        in_time = pc.sum(pc.less(delays, int(before.total_seconds()))).as_py() or 0
        details = {"clicks_in_time": in_time, "clicks_late": len(delays) - in_time}
        details["click_window_hours"] = window
        outcome[day] = DayRecord(details=details)
    return outcome


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr label_impressions``."""
    return job_main("label_impressions", argv)


if __name__ == "__main__":
    sys.exit(main())

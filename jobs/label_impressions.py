"""Label the impressions of a day, by one fixed definition.

Grain: impression. A day's labels are final at the cut-off; later clicks are counted for the
completeness report and restate nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_files import read_file
from jobs.storage.task_writes import write_units
from pipelines.logs.labels import LabelRules, bursts, clicks_of, first_clicks, label_impressions
from pipelines.logs.nobody import frequent_ids, nobodys_ids, without_nobody

_NAME = 40
_NAMED = 20
"""Letters of an id, and ids, that `runs` names."""
_CLICK_COLUMNS = ("impression_id", "user_id", "listing_id", "ts", "impression_ts", "impression_ds")


def run(step: Step) -> Outcome:
    """Label the impressions file by file, each with the clicks of its day and the next."""
    rules = step.config.labels
    days = list(step.days)
    shown = step.tables.files("impressions", days)
    clicked = step.tables.files("clicks", [*days, days[-1] + timedelta(days=1)])
    schemas = {name: arrow_schema(name) for name in ("impressions", "clicks")}

    def clicks_for(day: date) -> pa.Table:
        files_in_reach = [file for file in clicked if 0 <= (file.ds - day).days <= 1]
        read = [read_file(file, schemas["clicks"], _CLICK_COLUMNS) for file in files_in_reach]
        return pa.concat_tables([schemas["clicks"].empty_table().select(_CLICK_COLUMNS), *read])

    rows = step.tables.row_counts("impressions", days)
    frequent = {
        day: frequent_ids(step.tables.dataset("impressions", [day]), rows[day], rules)
        for day in days
        if rows.get(day)
    }
    nobody = {
        day: nobodys_ids(ids, rows[day], first_clicks(clicks_for(day), day, rules), rules)
        for day, ids in frequent.items()
        if ids
    }

    def label(number: int) -> Iterator[pa.RecordBatch]:
        file = shown[number]
        unknown = nobody.get(file.ds, [])
        first = without_nobody(first_clicks(clicks_for(file.ds), file.ds, rules), unknown)
        people = without_nobody(read_file(file, schemas["impressions"]), unknown)
        yield from label_impressions(people, first, bursts(first, rules)).to_batches()

    write_units(step.tables, "labeled_impressions", len(shown), label, days)
    outcome: Outcome = {}
    for day in days:
        unknown = nobody.get(day, [])
        outcome[day] = _record(day, clicks_for(day), unknown, rules)
        if unknown:
            # By name, for whoever is to mend the source; a share of all impressions of the day.
            outcome[day].details["nobody"] = {
                user[:_NAME]: round(frequent[day][user] / rows[day], 4) for user in unknown[:_NAMED]
            }
    return outcome


def _record(day: date, clicks: pa.Table, nobody: list[str], rules: LabelRules) -> DayRecord:
    """How complete a day's labels are: clicks that came before the cut-off and after it."""
    clicks_of_day = clicks_of(clicks, day)
    in_time = pc.sum(pc.less(clicks_of_day["ts"].cast(pa.int64()), rules.cutoff(day))).as_py() or 0
    first = without_nobody(first_clicks(clicks, day, rules), nobody)
    return DayRecord(
        details={
            "clicks_in_time": in_time,
            "clicks_late": len(clicks_of_day) - in_time,
            "click_window_hours": rules.click_window_hours,
            "invalid_traffic_bursts": len(bursts(first, rules)),
        }
    )


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr label_impressions``."""
    return job_main("label_impressions", argv)


if __name__ == "__main__":
    leave(main())

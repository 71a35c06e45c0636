"""Label the impressions of a day, by one fixed definition.

Grain: impression. A day's labels are final at the cut-off; later clicks are counted for the
completeness report and restate nothing. A large day is stored by user, in parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from jobs.storage.stored_parts import Parts
from jobs.storage.task_writes import write_parts
from pipelines.logs.click_facts import ClickFacts, click_facts
from pipelines.logs.labels import LabelRules, first_clicks, label_impressions
from pipelines.logs.nobody import Frequent, count_frequent, without_nobody
from pipelines.parts import by_user, is_of_part, part_of, parts_of
from pipelines.units_spark import collect_units

_NAME = 40
_NAMED = 20
"""Letters of an id, and ids, that `runs` names."""
_CLICK_COLUMNS = ("impression_id", "user_id", "listing_id", "ts", "impression_ts", "impression_ds")


def run(step: Step) -> Outcome:
    """Label the impressions slice by slice, each with the clicks of its day and the next."""
    rules = step.config.labels
    days = list(step.days)
    rows = step.tables.row_counts("impressions", days)
    shown = step.tables.slices("impressions", days)
    parts = step.tables.parts("impressions", days)
    frequent = _frequent_ids(step, shown, rows, rules)
    clicks = _Clicks.of(step)
    facts = _click_facts(step, clicks, frequent, rows)
    schema = arrow_schema("impressions")

    def label(number: int) -> Iterator[pa.RecordBatch]:
        day, unknown = shown[number].ds, facts[shown[number].ds].nobody
        people = without_nobody(shown[number].read(schema), unknown)
        clicked = clicks.of_day(day, people if parts[day] > 1 else None)
        first = without_nobody(first_clicks(clicked, day, rules), unknown)
        yield from label_impressions(people, first, facts[day].bursts).to_batches()

    write_parts(
        step.tables,
        "labeled_impressions",
        len(shown),
        label,
        days,
        Parts(parts, lambda rows, count: part_of(by_user(rows), count)),
    )
    outcome: Outcome = {}
    for day in days:
        of_day = facts[day]
        outcome[day] = DayRecord(
            details={
                "clicks_in_time": of_day.in_time,
                "clicks_late": of_day.late,
                "click_window_hours": rules.click_window_hours,
                "invalid_traffic_bursts": len(of_day.bursts),
            }
        )
        if of_day.nobody:
            # By name, for whoever is to mend the source; a share of all impressions of the day.
            outcome[day].details["nobody"] = {
                user[:_NAME]: round(frequent[day][user] / rows[day], 4)
                for user in of_day.nobody[:_NAMED]
            }
    return outcome


def _frequent_ids(
    step: Step, shown: Sequence[Slice], rows: Mapping[date, int], rules: LabelRules
) -> dict[date, Frequent]:
    """Impressions of the users who have more of a day than a person, and of nobody's ids."""
    schema = arrow_schema("impressions")
    limits = {day: rules.most_impressions(count) for day, count in rows.items()}

    def counted(candidates: Mapping[date, list[str]] | None) -> dict[date, Frequent]:
        def count(number: int) -> Iterator[pa.RecordBatch]:
            users = shown[number].read(schema, ["user_id"])["user_id"]
            day = shown[number].ds
            if candidates is None:
                # Who is above the day's limit is above its share of it in one slice at least.
                limit = limits[day] * len(users) / rows[day]
            else:
                users, limit = (
                    users.filter(pc.is_in(users, pa.array(candidates[day], pa.string()))),
                    0.0,
                )
            found = count_frequent(users, limit, rules)
            yield pa.RecordBatch.from_pydict(
                {"ds": [day] * len(found), "user": list(found), "rows": list(found.values())},
                schema=pa.schema(
                    [("ds", pa.date32()), ("user", pa.string()), ("rows", pa.int64())]
                ),
            )

        totals: dict[date, Frequent] = {day: {} for day in step.days}
        made = collect_units(step.spark, len(shown), count, "ds date, user string, rows bigint")
        for row in made.sort_by([("ds", "ascending"), ("user", "ascending")]).to_pylist():
            of_day = totals[row["ds"]]
            of_day[row["user"]] = of_day.get(row["user"], 0) + row["rows"]
        return totals

    found = counted(None)
    if len(shown) > len({one.ds for one in shown}) and any(found.values()):
        found = counted({day: list(users) for day, users in found.items()})
    return {
        day: {
            user: count
            for user, count in users.items()
            if count > limits[day] or rules.is_named_nobody(user)
        }
        for day, users in found.items()
    }


@dataclass(frozen=True)
class _Clicks:
    """Clicks on the impressions of a day: those of the day itself and of the next."""

    read: DayReader

    @classmethod
    def of(cls, step: Step) -> _Clicks:
        days = [*step.days, step.days[-1] + timedelta(days=1)]
        return cls(step.tables.day_reader("clicks", days, _CLICK_COLUMNS))

    def of_day(self, day: date, impressions: pa.Table | None = None) -> pa.Table:
        """All, or at least those on the impressions given."""
        read = self.read
        if impressions is not None:
            read = read.where(wanted(impression_id=impressions["impression_id"]))
        return pa.concat_tables([read(day), read(day + timedelta(days=1))])

    def of_users(self, day: date, part: int, parts: int) -> pa.Table:
        """Those of the users of a part."""
        read = self.read
        if parts > 1:
            read = read.where(lambda rows: is_of_part(by_user(rows), part, parts))
        return pa.concat_tables([read(day), read(day + timedelta(days=1))])


def _click_facts(
    step: Step, clicks: _Clicks, frequent: Mapping[date, Frequent], rows: Mapping[date, int]
) -> dict[date, ClickFacts]:
    """What the clicks of each day say of its users, by parts of the users."""
    rules = step.config.labels
    counts = step.tables.row_counts("clicks")
    units = []
    for day in step.days:
        in_reach = counts.get(day, 0) + counts.get(day + timedelta(days=1), 0)
        parts = parts_of(in_reach, step.tables.part_rows)
        units += [(day, part, parts) for part in range(parts)]

    def find(number: int) -> Iterator[pa.RecordBatch]:
        day, part, parts = units[number]
        found = click_facts(clicks.of_users(day, part, parts), day, frequent[day], rules)
        yield pa.RecordBatch.from_pydict({"ds": pa.array([day]), "facts": [json.dumps(found)]})

    made = collect_units(step.spark, len(units), find, "ds date, facts string").to_pylist()
    return {
        day: ClickFacts.of(
            [json.loads(row["facts"]) for row in made if row["ds"] == day],
            frequent[day], rows.get(day, 0), rules,
        )
        for day in step.days
    }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr label_impressions``."""
    return job_main("label_impressions", argv)


if __name__ == "__main__":
    leave(main())

"""Assemble the joint model's rows of all valid traffic, and what the day's entities are made of.

Grain: valid impression of either surface; and listing of the snapshot or query of the day. A row
is assembled once, for learning and for prediction; of a very large day a sample is learnt. Which
attributes are namespaces follows from the day's own rows, and is written beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.inputs import request_names
from jobs.planning.joint_inputs import held_days, joint_registry
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.task_writes import write_unit_tables
from pipelines.features.joint_days import attributes_of_day, namespace_rows
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_patterns import AttributeLimits
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import LearntShare, build_joint_day


def run(step: Step) -> Outcome:
    """Build the rows of all days of the step, each day in one task."""
    days = list(step.days)
    registered, joint = joint_registry(step.config), step.config.joint
    limits = AttributeLimits(joint.most_attributes, joint.most_values)
    share = LearntShare(joint.whole_rows, joint.ratio)
    given = step.config.scoring.reference
    names = {day: request_names(step.tables, step.config, day - timedelta(days=1)) for day in days}
    counted = step.available("count_entities")
    held = {day: held_days(step.config, counted, day - timedelta(days=1)) for day in days}
    reader = step.tables.day_reader
    traffic, listings = reader("labeled_impressions", days), reader("listings", days)
    history = reader("entity_history", days)

    def build(number: int) -> Iterator[tuple[str, pa.Table]]:
        day = days[number]
        shown = traffic(day)
        shown = shown.filter(shown["is_valid_traffic"])
        snapshot = with_shows_per_day(
            with_relative_price(listings(day)),
            history(day),
            search_days=held[day][0],
            promoted_days=held[day][1],
        )
        attributes = attributes_of_day(registered, shown, snapshot, limits)
        registry = registered.with_keys({scope: a.taken for scope, a in attributes.items()})
        assembler = JointAssembler(registry)
        rows = namespace_rows(registry, attributes, assembler.request_values(shown), snapshot)
        yield (
            "joint_namespaces",
            pa.Table.from_pylist(
                [row | {"ds": day} for row in rows], arrow_schema("joint_namespaces")
            ),
        )
        reference = reference_ids(registry, names[day], given, day)
        yield from build_joint_day(shown, snapshot, assembler, reference, share)

    written = ["joint_rows", "joint_entities", "joint_namespaces"]
    write_unit_tables(step.tables, written, len(days), build, days)
    return _outcome(step)


def _outcome(step: Step) -> Outcome:
    """What the record of runs is told: attributes and vectors that are left out."""
    rows = step.tables.read_arrow("joint_namespaces", step.days).to_pylist()
    left_out: dict[date, list[str]] = {day: [] for day in step.days}
    for row in rows:
        if row["left_out"]:
            left_out[row["ds"]].append(f"{row['namespace']}: left out, {row['left_out']}")
    return {
        day: DayRecord(details={"degraded": sorted(texts)} if texts else {})
        for day, texts in left_out.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_joint_rows``."""
    return job_main("build_joint_rows", argv)


if __name__ == "__main__":
    leave(main())

"""Assemble the joint model's rows of all valid traffic, and what the day's entities are made of.

Grain: valid impression of either surface; and listing of the snapshot or query of the day. A row
is assembled once, for learning and for prediction; of a very large day a sample is learnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pyarrow as pa

from jobs.commands.job import job_main
from jobs.planning.joint_inputs import held_days, joint_references, joint_registry
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.task_writes import write_unit_tables
from pipelines.features.joint_inputs import with_relative_price, with_shows_per_day
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import LearntShare, build_joint_day


def run(step: Step) -> Outcome:
    """Build the rows of all days of the step, each day in one task."""
    days = list(step.days)
    assembler = JointAssembler(joint_registry(step.config))
    references = joint_references(step.tables, step.config, days)
    counted = step.available("count_entities")
    joint = step.config.joint
    share = LearntShare(joint.whole_rows, joint.ratio)
    held = {day: held_days(step.config, counted, day - timedelta(days=1)) for day in days}
    reader = step.tables.day_reader
    traffic, listings = reader("labeled_impressions", days), reader("listings", days)
    history = reader("entity_history", days)

    def build(number: int) -> Iterator[tuple[str, pa.Table]]:
        day = days[number]
        shown = traffic(day)
        snapshot = with_shows_per_day(
            with_relative_price(listings(day)),
            history(day),
            search_days=held[day][0],
            promoted_days=held[day][1],
        )
        yield from build_joint_day(
            shown.filter(shown["is_valid_traffic"]), snapshot, assembler, references[day], share
        )

    write_unit_tables(step.tables, ["joint_rows", "joint_entities"], len(days), build, days)
    return {day: DayRecord() for day in days}


def main(argv: Sequence[str] | None = None) -> int:
    """``promoted-ctr build_joint_rows``."""
    return job_main("build_joint_rows", argv)


if __name__ == "__main__":
    leave(main())

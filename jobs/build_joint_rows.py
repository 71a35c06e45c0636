"""Assemble the joint model's rows of all valid traffic, and what the day's entities are made of.

Grain: valid impression of either surface; and listing of the snapshot or query of the day. A row
is assembled once, for learning and for prediction; of a very large day a sample is learnt. Which
attributes are namespaces follows from the day's own rows, and is written beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.commands.job import job_main
from jobs.planning.inputs import request_names
from jobs.planning.joint_inputs import held_days, joint_registry
from jobs.setup.exits import leave
from jobs.step import DayRecord, Outcome, Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from jobs.storage.task_writes import Parts, write_parts
from pipelines.features.joint_days import (
    attributes_of_day,
    by_rows,
    namespace_rows,
    vectors_left_out,
)
from pipelines.features.joint_inputs import (
    HISTORY_COLUMNS,
    with_relative_price,
    with_shows_per_day,
)
from pipelines.features.joint_namespace import DENSE
from pipelines.features.joint_patterns import AttributeLimits, add_attributes, count_attributes
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_traffic import (
    LearntShare,
    entity_columns,
    joint_rows,
    listing_entities,
    request_entities,
    with_rate,
)
from pipelines.parts import part_in_order
from pipelines.units_spark import collect_units


def run(step: Step) -> Outcome:
    """Build the rows of all days of the step, slice by slice."""
    days = list(step.days)
    shown = step.tables.slices("labeled_impressions", days)
    parts = step.tables.parts("labeled_impressions", days)
    given = step.config.scoring.reference
    names = {day: request_names(step.tables, step.config, day - timedelta(days=1)) for day in days}
    snapshots = _Snapshots.of(step)
    made = _read_days(step, shown)

    def rows(number: int) -> Iterator[pa.RecordBatch]:
        day = shown[number].ds
        traffic = with_rate(_valid(shown[number]), made[day].rate)
        snapshot = snapshots(day, traffic["listing_id"] if parts[day] > 1 else None)
        yield from joint_rows(traffic, snapshot, made[day].assembler).to_batches()

    in_order = Parts(
        parts,
        lambda rows, count: part_in_order(rows["order_key"].to_numpy(), count),
        lambda rows: rows.sort_by("order_key"),
    )
    write_parts(step.tables, "joint_rows", len(shown), rows, days, in_order)

    def entities(number: int) -> Iterator[pa.RecordBatch]:
        if number < len(days):
            day = days[number]
            registry = made[day].assembler.registry
            reference = reference_ids(registry, names[day], given, day)
            found = listing_entities(snapshots(day), made[day].assembler, reference, day)
        else:
            one = shown[number - len(days)]
            columns = entity_columns(made[one.ds].assembler.registry)
            traffic = with_rate(_valid(one, columns), made[one.ds].rate)
            found = request_entities(traffic, made[one.ds].assembler, one.ds)
        for table in found:
            yield from table.to_batches()

    once = Parts(
        parts, lambda rows, count: part_in_order(rows["id"].to_numpy(), count), first_of_each
    )
    write_parts(step.tables, "joint_entities", len(days) + len(shown), entities, days, once)
    return _outcome(step)


def first_of_each(entities: pa.Table) -> pa.Table:
    """Each entity once, of what several slices have made of it: all have made the same."""
    number = pa.array(range(len(entities)), pa.int64())
    keyed = entities.select(["entity", "id"]).append_column("number", number)
    first = keyed.group_by(["entity", "id"], use_threads=False).aggregate([("number", "min")])
    return entities.take(first["number_min"])


def _valid(one: Slice, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of a slice that people made; all columns by default."""
    wanted_columns = None if columns is None else ["is_valid_traffic", *columns]
    rows = one.read(arrow_schema("labeled_impressions"), wanted_columns)
    return rows.filter(rows["is_valid_traffic"])


@dataclass(frozen=True)
class _Snapshots:
    """Reads the listings of a day with what they have only among others, or from before."""

    listings: DayReader
    history: DayReader
    held: Mapping[date, tuple[int, int]]

    @classmethod
    def of(cls, step: Step) -> _Snapshots:
        days = list(step.days)
        counted = step.available("count_entities")
        return cls(
            step.tables.day_reader("listings", days),
            step.tables.day_reader("entity_history", days, HISTORY_COLUMNS).where(
                wanted(entity_type=pa.array(["listing"]))
            ),
            {day: held_days(step.config, counted, day - timedelta(days=1)) for day in days},
        )

    def __call__(self, day: date, ids: pa.ChunkedArray | None = None) -> pa.Table:
        """All listings of a day, or those named."""
        snapshot = with_relative_price(self.listings(day))
        if ids is not None:
            snapshot = snapshot.filter(pc.is_in(snapshot["listing_id"], pc.unique(ids)))
        search_days, promoted_days = self.held[day]
        return with_shows_per_day(
            snapshot, self.history(day), search_days=search_days, promoted_days=promoted_days
        )


@dataclass(frozen=True)
class _Day:
    """What of a day must be known before its first row is made."""

    assembler: JointAssembler
    rate: float


def _read_days(step: Step, shown: Sequence[Slice]) -> dict[date, _Day]:
    """Find out which attributes the days have, and which values; write `joint_namespaces`."""
    days, joint = list(step.days), step.config.joint
    registered = joint_registry(step.config)
    limits = AttributeLimits(joint.most_attributes, joint.most_values)
    listed = step.tables.day_reader("listings", days, ["attributes"])

    def count(number: int) -> dict[str, Any]:
        if number < len(days):
            attributes = listed(days[number])["attributes"]
            return {
                "listing": count_attributes(registered.registered, "listing", attributes, limits)
            }
        traffic = _valid(shown[number - len(days)], ["clicked", "attributes"])
        of_rows = traffic["attributes"]
        return {
            "request": count_attributes(registered.registered, "request", of_rows, limits),
            "rows": len(traffic),
            "clicks": pc.sum(traffic["clicked"]).as_py() or 0,
        }

    counted = _by_day(step, shown, count)
    share = LearntShare(joint.whole_rows, joint.ratio)
    attributes, made = {}, {}
    for day, found in counted.items():
        counts = {
            scope: add_attributes(one[scope] for one in found if scope in one)
            for scope in ("request", "listing")
        }
        attributes[day] = attributes_of_day(registered, counts, limits)
        keys = {scope: own.taken for scope, own in attributes[day].items()}
        rows, clicks = (sum(one.get(name, 0) for one in found) for name in ("rows", "clicks"))
        made[day] = _Day(JointAssembler(registered.with_keys(keys)), share.rate(rows, clicks))

    def read(number: int) -> dict[str, Any]:
        if number < len(days):
            day = days[number]
            return {"left_out": vectors_left_out(made[day].assembler.registry, listings(day))}
        one = shown[number - len(days)]
        own = made[one.ds].assembler
        return {"values": own.request_values(_valid(one, own.value_columns))}

    vectors = sorted({n.inputs[0] for n in registered.namespaces if n.encoding == DENSE})
    listings = step.tables.day_reader("listings", days, vectors)
    rows = [
        row | {"ds": day}
        for day, found in _by_day(step, shown, read).items()
        for row in namespace_rows(
            made[day].assembler.registry,
            attributes[day],
            by_rows(one["values"] for one in found if "values" in one),
            next(one["left_out"] for one in found if "left_out" in one),
        )
    ]
    step.tables.write_rows("joint_namespaces", rows, days)
    return made


def _by_day(
    step: Step, shown: Sequence[Slice], find: Callable[[int], dict[str, Any]]
) -> dict[date, list[dict[str, Any]]]:
    """What tasks find in the snapshot of each day and in its slices of traffic, numbered so."""
    days = list(step.days)
    at = [*days, *(one.ds for one in shown)]

    def run_unit(number: int) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict(
            {"number": pa.array([number], pa.int64()), "found": [json.dumps(find(number))]}
        )

    made = collect_units(step.spark, len(at), run_unit, "number bigint, found string")
    found: dict[date, list[dict[str, Any]]] = {day: [] for day in days}
    for row in made.sort_by("number").to_pylist():
        found[at[row["number"]]].append(json.loads(row["found"]))
    return found


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

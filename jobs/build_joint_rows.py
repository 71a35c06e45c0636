"""Assemble the joint model's rows of all valid traffic, and what the day's entities are made of.

Grain: valid impression of either surface; and listing of the snapshot or query of the day. A row
is assembled once, for learning and for prediction; of a very large day a sample is learnt. Which
attributes are namespaces follows from the day's own rows, and is written beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from jobs.storage.day_reader import wanted
from jobs.storage.slices import Slice
from jobs.storage.stored_parts import Parts
from jobs.storage.task_writes import unit_table_files
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
from pipelines.features.joint_patterns import AttributeLimits, add_attributes, count_attributes
from pipelines.features.joint_reference import reference_ids
from pipelines.features.joint_rows import JointAssembler
from pipelines.features.joint_snapshot import (
    SnapshotFacts,
    add_snapshots,
    count_snapshot,
    snapshot_columns,
)
from pipelines.features.joint_traffic import (
    OF_TRAFFIC,
    LearntShare,
    joint_rows,
    listing_rows,
    request_entities,
    with_rate,
)
from pipelines.parts import part_in_order
from pipelines.units_spark import collect_found


def run(step: Step) -> Outcome:
    """Build the rows of all days of the step: of listings, then of traffic, slice by slice."""
    days = list(step.days)
    tables = step.tables
    shown = tables.slices("labeled_impressions", days)
    listed = tables.slices("listings", days)
    parts = tables.parts("labeled_impressions", days)
    once = Parts(
        parts, lambda rows, count: part_in_order(rows["id"].to_numpy(), count), first_of_each
    )
    made = _read_days(step, listed, shown)
    history = tables.day_reader("entity_history", days, HISTORY_COLUMNS)
    history = history.among("entity_type", ["listing"])

    def of_listings(number: int) -> Iterator[tuple[str, pa.Table]]:
        day = listed[number].ds
        own = made[day]
        listings = listed[number].read(arrow_schema("listings"))
        known = history.where(wanted(entity_id=listings["listing_id"]))(day)
        search_days, promoted_days = own.held
        snapshot = with_shows_per_day(
            with_relative_price(listings, own.facts.prices), known,
            search_days=search_days, promoted_days=promoted_days,
        )  # fmt: skip
        yield from listing_rows(snapshot, own.assembler, own.reference, day)

    by_listing = Parts.by_hash(tables.parts("listings", days), "listing_id")
    listing_files = unit_table_files(
        tables, len(listed), of_listings, days,
        {"joint_listings": by_listing, "joint_entities": once},
    )  # fmt: skip
    tables.commit("joint_listings", listing_files["joint_listings"], days)
    listings = tables.day_reader("joint_listings", days)

    def of_traffic(number: int) -> Iterator[tuple[str, pa.Table]]:
        day = shown[number].ds
        own = made[day]
        columns = {*OF_TRAFFIC, *own.assembler.traffic_columns}
        traffic = with_rate(_valid(shown[number], sorted(columns)), own.rate)
        known = listings.where(wanted(listing_id=traffic["listing_id"]))(day)
        for rows in joint_rows(traffic, known, own.assembler):
            yield "joint_rows", rows
        for entities in request_entities(traffic, own.assembler, day):
            yield "joint_entities", entities

    files = unit_table_files(
        tables, len(shown), of_traffic, days,
        {"joint_rows": Parts.in_order(parts, "order_key"), "joint_entities": once},
    )  # fmt: skip
    tables.commit("joint_rows", files["joint_rows"], days)
    # An entity is a listing or of requests, so none is in both.
    entities = [listing_files["joint_entities"], files["joint_entities"]]
    tables.commit("joint_entities", pa.concat_tables(entities), days)
    return _outcome(step)


def first_of_each(entities: pa.Table) -> pa.Table:
    """Each entity once, of what several slices have made of it: all have made the same."""
    number = pa.array(range(len(entities)), pa.int64())
    keyed = entities.select(["entity", "id"]).append_column("number", number)
    first = keyed.group_by(["entity", "id"], use_threads=False).aggregate([("number", "min")])
    return entities.take(first["number_min"])


def _valid(one: Slice, columns: Sequence[str]) -> pa.Table:
    """The rows of a slice that people made."""
    rows = one.read(arrow_schema("labeled_impressions"), ["is_valid_traffic", *columns])
    return rows.filter(rows["is_valid_traffic"]).select(columns)


@dataclass(frozen=True)
class _Day:
    """What of a day must be known before its first row is made."""

    assembler: JointAssembler
    """By the attributes of the day."""
    rate: float
    """Share of the non-clicks that is learnt."""
    facts: SnapshotFacts
    held: tuple[int, int]
    """As of `held_days`, on the day before."""
    reference: Mapping[str, int]
    """As of `reference_ids`."""


def _read_days(step: Step, listed: Sequence[Slice], shown: Sequence[Slice]) -> dict[date, _Day]:
    """Find out which attributes the days have, and which values; write `joint_namespaces`."""
    joint = step.config.joint
    registered = joint_registry(step.config)
    limits = AttributeLimits(joint.most_attributes, joint.most_values)
    of_listings = [*snapshot_columns(registered), "attributes"]

    def count(one: Slice, *, is_listings: bool) -> dict[str, Any]:
        if is_listings:
            listings = one.read(arrow_schema("listings"), of_listings)
            own = listings["attributes"]
            return {
                "listing": count_attributes(registered.registered, "listing", own, limits),
                **count_snapshot(registered, listings),
            }
        traffic = _valid(one, ["clicked", "attributes"])
        own = traffic["attributes"]
        return {
            "request": count_attributes(registered.registered, "request", own, limits),
            "rows": len(traffic),
            "clicks": pc.sum(traffic["clicked"]).as_py() or 0,
        }

    every = [*listed, *shown]
    found = collect_found(
        step.spark, len(every), lambda k: count(every[k], is_listings=k < len(listed))
    )
    snapshots = _by_day(step, listed, found[: len(listed)])
    traffic = _by_day(step, shown, found[len(listed) :])
    share = LearntShare(joint.whole_rows, joint.ratio)
    counted = step.available("count_entities")
    attributes, made = {}, {}
    for day in step.days:
        counts = {
            "request": add_attributes(one["request"] for one in traffic[day]),
            "listing": add_attributes(one["listing"] for one in snapshots[day]),
        }
        attributes[day] = attributes_of_day(registered, counts, limits)
        keys = {scope: own.taken for scope, own in attributes[day].items()}
        rows, clicks = (sum(one[name] for one in traffic[day]) for name in ("rows", "clicks"))
        facts = add_snapshots(registered, snapshots[day])
        assembler = JointAssembler(registered.with_keys(keys), facts.usual_lengths)
        yesterday = day - timedelta(days=1)
        names = request_names(step.tables, step.config, yesterday)
        made[day] = _Day(
            assembler,
            share.rate(rows, clicks),
            facts,
            held_days(step.config, counted, yesterday),
            reference_ids(assembler.registry, names, step.config.scoring.reference, day),
        )

    def read_values(number: int) -> dict[str, dict[str, int]]:
        one = shown[number]
        own = made[one.ds].assembler
        return own.request_values(_valid(one, own.value_columns))

    values = _by_day(step, shown, collect_found(step.spark, len(shown), read_values))
    rows_of_days = [
        row | {"ds": day}
        for day, own in made.items()
        for row in namespace_rows(
            own.assembler.registry,
            attributes[day],
            by_rows(values[day]),
            vectors_left_out(own.facts.lengths),
        )
    ]
    step.tables.write_rows("joint_namespaces", rows_of_days, step.days)
    return made


def _by_day(step: Step, slices: Sequence[Slice], found: Sequence[Any]) -> dict[date, list[Any]]:
    """What was found in the slices of each day."""
    by_day: dict[date, list[Any]] = {day: [] for day in step.days}
    for one, own in zip(slices, found, strict=True):
        by_day[one.ds].append(own)
    return by_day


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

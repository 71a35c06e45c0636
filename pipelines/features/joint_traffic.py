"""A day of traffic as rows of the joint model, and the day's entities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import with_day
from pipelines.features.feature_rows import batches_of
from pipelines.features.id_rows import packed
from pipelines.features.joint_reference import reference_rows
from pipelines.features.joint_registry import JointRegistry
from pipelines.features.joint_rows import JointAssembler, ListingIds
from pipelines.parts import by_user, hashes_of
from pipelines.samples.balanced import non_click_rate, order_key, uniform_hash

_PROMOTED = "promoted"
_SALT = "joint"

OF_TRAFFIC = ("impression_id", "user_id", "listing_id", "surface", "clicked", "ds")
"""Columns of `labeled_impressions` that rows need beside the values of their namespaces."""


@dataclass(frozen=True)
class LearntShare:
    """How much of a day is learnt: all of it, or all clicks and a hash share of the non-clicks.

    Attributes
    ----------
    whole_rows : int
        A day of so many rows is learnt whole, and of a larger one about as many.
    ratio : float
        Non-clicks a click that are learnt in any case.
    """

    whole_rows: int
    ratio: float

    def rate(self, rows: int, clicks: int) -> float:
        """The share of the non-clicks of a day that is learnt.

        Parameters
        ----------
        rows, clicks : int
            Valid impressions of the day, and how many of them were clicked.
        """
        ratio = max(self.ratio, self.whole_rows / max(clicks, 1) - 1.0)
        return non_click_rate(rows, clicks, ratio=ratio)


def with_rate(traffic: pa.Table, rate: float) -> pa.Table:
    """Rows of a day that are learnt or, as promoted ones are, predicted.

    Returns
    -------
    pyarrow.Table
        The rows and `sampling_rate`, by which the non-clicks were drawn; null in rows that are
        predicted only.
    """
    clicked = np.asarray(traffic["clicked"])
    if rate == 1.0:
        return traffic.append_column("sampling_rate", pa.array(np.ones(len(clicked))))
    learnt = clicked | (uniform_hash(traffic["impression_id"], _SALT) < rate)
    rates = pa.array(np.full(len(clicked), rate), mask=~learnt)
    kept = learnt | np.asarray(pc.equal(traffic["surface"], _PROMOTED))
    return traffic.append_column("sampling_rate", rates).filter(pa.array(kept))


def joint_rows(
    traffic: pa.Table, listed: pa.Table, assembler: JointAssembler
) -> Iterator[pa.Table]:
    """Rows of impressions, in learning order, some at a time.

    Parameters
    ----------
    traffic : pyarrow.Table
        As of `with_rate`, any part of a day: `OF_TRAFFIC` and the assembler's `traffic_columns`.
    listed : pyarrow.Table
        Rows of `joint_listings` of the day: at least those of the traffic.

    Yields
    ------
    pyarrow.Table
        Columns of `joint_rows`.
    """
    listings = ListingIds.of_rows(listed, assembler.listing_namespaces)
    key = pa.array(order_key(traffic["impression_id"]))
    place = pa.array(hashes_of(by_user(traffic)))
    keyed = traffic.append_column("order_key", key).append_column("place_hash", place)
    keyed = keyed.drop_columns(["impression_id"])
    ordered = keyed.sort_by("order_key").combine_chunks()
    at = pc.index_in(ordered["listing_id"], listed["listing_id"].combine_chunks())
    places = pc.fill_null(at, -1).combine_chunks().to_numpy().astype(np.int64)
    done = 0
    for batch in batches_of(ordered):
        own = places[done : done + batch.num_rows]
        done += batch.num_rows
        columns = {name: batch.column(name) for name in ("order_key", "surface", "clicked")}
        columns["sampling_rate"] = batch.column("sampling_rate")
        columns["ids"] = packed(assembler.values(batch, listings, own))
        columns["place_hash"] = batch.column("place_hash")
        columns["ds"] = batch.column("ds")
        yield pa.table(columns).cast(arrow_rows())


def arrow_rows() -> pa.Schema:
    """Types of `joint_rows`."""
    kinds = [("order_key", pa.int64()), ("surface", pa.string()), ("clicked", pa.bool_())]
    ids, place = ("ids", pa.list_(pa.int64())), ("place_hash", pa.int64())
    return pa.schema([*kinds, ("sampling_rate", pa.float64()), ids, place, ("ds", pa.date32())])


def listing_rows(
    snapshot: pa.Table, assembler: JointAssembler, reference: Mapping[str, int], day: date
) -> Iterator[tuple[str, pa.Table]]:
    """Listing scope of some listings of a day, and what they are made of.

    Parameters
    ----------
    snapshot : pyarrow.Table
        With the columns of `joint_inputs`.
    reference : mapping of str to int
        As of `reference_ids`.

    Yields
    ------
    str, pyarrow.Table
        Rows of `joint_listings`, and of `joint_entities`, some at a time.
    """
    registry = assembler.registry
    for batch in batches_of(snapshot.sort_by("listing_id")):
        listings = assembler.listings(batch)
        rows = {"listing_id": batch.column("listing_id"), **listings.columns()}
        yield "joint_listings", with_day(pa.table(rows), day)
        at_reference = packed(reference_rows(registry, listings, reference))
        for entity in _entities(registry, "listing"):
            made = assembler.contents(batch, entity).append_column("reference_ids", at_reference)
            yield "joint_entities", with_day(made, day)


def request_entities(traffic: pa.Table, assembler: JointAssembler, day: date) -> Iterator[pa.Table]:
    """What the queries, and other entities of requests, of some rows of a day are made of.

    Parameters
    ----------
    traffic : pyarrow.Table
        As of `with_rate`.

    Yields
    ------
    pyarrow.Table
        Columns of `joint_entities`, each entity once.
    """
    for entity in _entities(assembler.registry, "request"):
        name = assembler.registry.by_name[entity].inputs[0]
        distinct = pc.unique(traffic[name]).drop_null().sort()
        made = assembler.contents(pa.RecordBatch.from_pydict({name: distinct}), entity)
        no_row = pa.nulls(len(made), pa.list_(pa.int64()))
        yield with_day(made.append_column("reference_ids", no_row), day)


def _entities(registry: JointRegistry, scope: str) -> list[str]:
    """Namespaces of a scope whose values have contents."""
    named = dict.fromkeys(content.of for content in registry.contents)
    return [entity for entity in named if registry.by_name[entity].scope == scope]

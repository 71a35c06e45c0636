"""Listings of a day for the joint model: with what they have only among others, or from before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from jobs.planning.joint_inputs import held_days
from jobs.step import Step
from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from pipelines.features.joint_inputs import (
    HISTORY_COLUMNS,
    with_relative_price,
    with_shows_per_day,
)
from pipelines.features.joint_snapshot import SnapshotFacts


@dataclass(frozen=True)
class JointSnapshots:
    """Reads listings of days, with their history as of the day before.

    Attributes
    ----------
    listings, history : DayReader
        `listings`, and the listings' rows of `entity_history`.
    held : mapping of date to (int, int)
        As of `held_days`.
    facts : mapping of date to SnapshotFacts
        Of all listings of each day.
    """

    listings: DayReader
    history: DayReader
    held: Mapping[date, tuple[int, int]]
    facts: Mapping[date, SnapshotFacts]

    @classmethod
    def of(
        cls, step: Step, facts: Mapping[date, SnapshotFacts], columns: Sequence[str]
    ) -> JointSnapshots:
        """Those of the days of a step; of listings that are named, these columns are read."""
        days = list(step.days)
        counted = step.available("count_entities")
        return cls(
            step.tables.day_reader("listings", days, columns),
            step.tables.day_reader("entity_history", days, HISTORY_COLUMNS).among(
                "entity_type", ["listing"]
            ),
            {day: held_days(step.config, counted, day - timedelta(days=1)) for day in days},
            facts,
        )

    def of_ids(self, day: date, ids: pa.ChunkedArray) -> pa.Table:
        """The listings of a day that are named."""
        return self._complete(self.listings.where(wanted(listing_id=ids))(day), day)

    def of_slice(self, one: Slice) -> pa.Table:
        """The listings of a slice."""
        return self._complete(one.read(arrow_schema("listings")), one.ds)

    def _complete(self, listings: pa.Table, day: date) -> pa.Table:
        search_days, promoted_days = self.held[day]
        history = self.history.where(wanted(entity_id=listings["listing_id"]))
        return with_shows_per_day(
            with_relative_price(listings, self.facts[day].prices),
            history(day),
            search_days=search_days,
            promoted_days=promoted_days,
        )

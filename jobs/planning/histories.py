"""Rows with the history of what they name, read where it is needed and no more of it."""

from __future__ import annotations

import pyarrow as pa

from jobs.storage.contracts import arrow_schema
from jobs.storage.day_reader import DayReader, wanted
from jobs.storage.slices import Slice
from pipelines.features.feature_rows import (
    CONTEXT_ENTITIES,
    LISTING_ENTITIES,
    context_entity_ids,
    listing_entity_ids,
    with_history,
)
from pipelines.features.history import USER


def listings_with_history(history: DayReader, one: Slice) -> pa.Table:
    """A slice of the day's listings with the sums of theirs, of their shops and categories.

    Parameters
    ----------
    history : DayReader
        Of `entity_history`.
    """
    listings = one.read(arrow_schema("listings"))
    own = history.where(wanted(entity_id=listing_entity_ids(listings)))
    known = own.among("entity_type", LISTING_ENTITIES)(one.ds)
    return with_history(listings, known, LISTING_ENTITIES)


def contexts_with_history(history: DayReader, one: Slice, rows: pa.Table) -> pa.Table:
    """Rows of a slice of traffic with the sums of their queries and users.

    Of users only those of the slice's part are looked for.

    Parameters
    ----------
    history : DayReader
        Of `entity_history`.
    rows : pyarrow.Table
        Any of the slice's.
    """
    own = history.where(wanted(entity_id=context_entity_ids(rows)))
    part, parts = one.part or (0, 1)
    of_users = own.among("entity_type", [USER]).of_part("entity_id", part, parts)
    others = own.among("entity_type", [kind for kind in CONTEXT_ENTITIES if kind != USER])
    known = pa.concat_tables([others(one.ds), of_users(one.ds)])
    return with_history(rows, known, CONTEXT_ENTITIES)

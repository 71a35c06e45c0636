"""Which listings of a day's snapshot are scored, and as of when."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.days import with_day


def live_promoted(listings: pa.Table) -> pa.Table:
    """Rows of `listings` that are in a campaign and not out of stock; stock unknown is stock.

    The rule `live_promoted` of conf/quality/listings.toml counts the same rows.
    """
    in_stock = pc.fill_null(pc.greater(listings["quantity"], 0), True)
    return listings.filter(pc.and_(listings["is_promoted"], in_stock))


def as_of(listings: pa.Table, day: date) -> pa.Table:
    """Rows of `listings` as they are on another day, the one that scores serve: older by then."""
    return with_day(listings.drop_columns(["ds"]), day)

"""Which listings of a day's snapshot are scored."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def live_promoted(listings: pa.Table) -> pa.Table:
    """Rows of `listings` that are in a campaign and not out of stock; stock unknown is stock.

    The rule `live_promoted` of conf/quality/listings.toml counts the same rows.
    """
    in_stock = pc.fill_null(pc.greater(listings["quantity"], 0), True)
    return listings.filter(pc.and_(listings["is_promoted"], in_stock))

"""Inputs of the joint model that a listing has only among others, or as of the day before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]

RELATIVE_PRICE = "relative_price"
SHOWS_PER_DAY = "shows_per_day"

HISTORY_COLUMNS = ("entity_type", "entity_id", "search_impressions", "promoted_impressions")
"""Columns of `entity_history` that are wanted here."""

_LARGEST_PRICE = 1e12


def with_relative_price(listings: pa.Table) -> pa.Table:
    """Add each listing's price over the mean price of its category on the day's snapshot.

    Parameters
    ----------
    listings : pyarrow.Table
        All listings of a day: category and price.

    Returns
    -------
    pyarrow.Table
        With `relative_price`, double; null without a positive price. Summed in whole hundredths,
        so that the order of the listings does not matter.
    """
    price = listings["price"].combine_chunks().cast(pa.float64())
    amounts = np.asarray(price.fill_null(0.0).to_numpy(zero_copy_only=False))
    good = np.isfinite(amounts) & (amounts > 0.0) & (amounts < _LARGEST_PRICE)
    hundredths = np.rint(np.where(good, amounts, 0.0) * 100.0).astype(np.int64)
    categories = listings["category"].combine_chunks().cast(pa.string()).fill_null("")
    codes = categories.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    kinds = int(codes.max(initial=-1)) + 1
    total, count = np.zeros(kinds, np.int64), np.zeros(kinds, np.int64)
    np.add.at(total, codes[good], hundredths[good])
    np.add.at(count, codes[good], 1)
    mean = total[codes] / np.maximum(count[codes], 1)
    good &= mean > 0.0
    relative = np.where(good, hundredths, 0) / np.where(good, mean, 1.0)
    return listings.append_column(RELATIVE_PRICE, pa.array(relative, mask=~good))


def with_shows_per_day(
    listings: pa.Table, history: pa.Table, *, search_days: int, promoted_days: int
) -> pa.Table:
    """Add how often a day each listing was shown over the windows that end the day before.

    Parameters
    ----------
    listings : pyarrow.Table
        listing_id.
    history : pyarrow.Table
        Rows of `entity_history` of the day.
    search_days, promoted_days : int
        Days that the windows hold: fewer than they are wide where there are no more logs.

    Returns
    -------
    pyarrow.Table
        With `shows_per_day`, double: 0 of a listing that was never shown; null where the windows
        hold no day, and nobody can tell.
    """
    if not search_days and not promoted_days:
        return listings.append_column(SHOWS_PER_DAY, pa.nulls(len(listings), pa.float64()))
    own = history.filter(pc.equal(history["entity_type"], "listing"))
    at = pc.index_in(listings["listing_id"], own["entity_id"].combine_chunks())
    shows = np.zeros(len(listings))
    for surface, days in (("search", search_days), ("promoted", promoted_days)):
        sums = own[f"{surface}_impressions"].combine_chunks().take(at.combine_chunks())
        shows += sums.fill_null(0).to_numpy(zero_copy_only=False) / max(days, 1)
    return listings.append_column(SHOWS_PER_DAY, pa.array(shows))

"""Inputs of the joint model that a listing has only among others, or as of the day before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Prices = Mapping[str, tuple[int, int]]
"""By category: the sum of its prices in hundredths, and how many listings have one."""

RELATIVE_PRICE = "relative_price"
SHOWS_PER_DAY = "shows_per_day"

HISTORY_COLUMNS = ("entity_type", "entity_id", "search_impressions", "promoted_impressions")
"""Columns of `entity_history` that are wanted here."""

_LARGEST_PRICE = 1e12


def category_prices(listings: pa.Table) -> dict[str, tuple[int, int]]:
    """Sum the prices of each category.

    Parameters
    ----------
    listings : pyarrow.Table
        category and price of any listings of a day. Summed in whole hundredths, so that it does
        not matter how they are cut or in what order they are.
    """
    hundredths, good = _hundredths(listings)
    codes, names = _categories(listings)
    total, count = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    np.add.at(total, codes[good], hundredths[good])
    np.add.at(count, codes[good], 1)
    return dict(zip(names, zip(total.tolist(), count.tolist(), strict=True), strict=True))


def add_prices(parts: Iterable[Prices]) -> dict[str, tuple[int, int]]:
    """The `category_prices` of all listings of a day from those of their parts."""
    added: dict[str, tuple[int, int]] = {}
    for part in parts:
        for category, (own_total, own_count) in part.items():
            total, count = added.get(category, (0, 0))
            added[category] = (total + own_total, count + own_count)
    return added


def with_relative_price(listings: pa.Table, prices: Prices | None = None) -> pa.Table:
    """Add each listing's price over the mean price of its category on the day's snapshot.

    Parameters
    ----------
    listings : pyarrow.Table
        category and price.
    prices : mapping, optional
        `category_prices` of all listings of the day; by default the listings are all.

    Returns
    -------
    pyarrow.Table
        With `relative_price`, double; null without a positive price.
    """
    of_day = category_prices(listings) if prices is None else prices
    hundredths, good = _hundredths(listings)
    codes, names = _categories(listings)
    known = np.array([of_day.get(name, (0, 0)) for name in names], np.int64).reshape(-1, 2)
    mean = (known[:, 0] / np.maximum(known[:, 1], 1))[codes]
    good &= mean > 0.0
    relative = np.where(good, hundredths, 0) / np.where(good, mean, 1.0)
    return listings.append_column(RELATIVE_PRICE, pa.array(relative, mask=~good))


def _hundredths(listings: pa.Table) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Prices in whole hundredths, and which of them are prices."""
    price = listings["price"].combine_chunks().cast(pa.float64())
    amounts = np.asarray(price.fill_null(0.0).to_numpy(zero_copy_only=False))
    good = np.isfinite(amounts) & (amounts > 0.0) & (amounts < _LARGEST_PRICE)
    return np.rint(np.where(good, amounts, 0.0) * 100.0).astype(np.int64), good


def _categories(listings: pa.Table) -> tuple[Ints, list[str]]:
    """The number of each listing's category, and the categories by number."""
    categories = listings["category"].combine_chunks().cast(pa.string()).fill_null("")
    coded = categories.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, coded.dictionary.to_pylist()


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

"""Counts per entity and surface, with the clicks that positions alone would give.

A listing shown on top is not better for it: rates are clicks over expected clicks, where an
impression's expected click is the day's click rate of its surface and position, in millionths so
that sums are exact. All counts are sums: those of a day's parts add up to the day's.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MICRO = 1_000_000
TRAFFIC_COLUMNS = (
    "is_valid_traffic", "clicked", "surface", "position", "listing_id", "query", "user_id"
)  # fmt: skip
HOME_COLUMNS = ("listing_id", "shop_id", "category")
POSITION_COUNTS = pa.schema(
    [
        ("surface", pa.string()),
        ("position", pa.int32()),
        ("impressions", pa.int64()),
        ("clicks", pa.int64()),
    ]
)

_SUMS = ("impressions", "clicks", "expected_clicks_micro")


def count_positions(traffic: pa.Table) -> pa.Table:
    """Count the valid impressions and clicks of each surface and position.

    Parameters
    ----------
    traffic : pyarrow.Table
        is_valid_traffic, surface, position and clicked of any impressions of a day.

    Returns
    -------
    pyarrow.Table
        `POSITION_COUNTS`.
    """
    valid = traffic.filter(traffic["is_valid_traffic"])
    counted = pa.table(
        {
            "surface": valid["surface"],
            "position": valid["position"],
            "impressions": pa.repeat(pa.scalar(1, pa.int64()), len(valid)),
            "clicks": valid["clicked"].cast(pa.int64()),
        }
    )
    return _sum(counted, ("surface", "position"), ("impressions", "clicks")).cast(POSITION_COUNTS)


def position_rates(counts: pa.Table, *, strength: float) -> pa.Table:
    """The smoothed click rate of each surface and position of a day.

    Parameters
    ----------
    counts : pyarrow.Table
        `POSITION_COUNTS` of all parts of the day.
    strength : float
        Clicks at the surface's own rate that each position's rate is smoothed with.

    Returns
    -------
    pyarrow.Table
        `POSITION_COUNTS`, unique by surface and position, and rate_micro (int64); a surface without
        clicks that day expects none.
    """
    summed = _sum(counts, ("surface", "position"), ("impressions", "clicks"))
    clicks, shown = (np.asarray(summed[name], dtype=float) for name in ("clicks", "impressions"))
    surfaces = summed["surface"].combine_chunks().dictionary_encode().indices.to_numpy()
    total_clicks = np.bincount(surfaces, clicks)[surfaces]
    total_shown = np.bincount(surfaces, shown)[surfaces]
    with np.errstate(divide="ignore", invalid="ignore"):
        prior = strength * total_shown / total_clicks
        rate = np.where(total_clicks > 0, (clicks + strength) / (shown + prior), 0.0)
    micro = np.floor(rate * MICRO + 0.5).astype(np.int64)
    return summed.append_column("rate_micro", pa.array(micro))


def count_entities(traffic: pa.Table, homes: pa.Table, rates: pa.Table) -> pa.Table:
    """Count every entity of impressions of a day.

    Shops and categories are summed from their listings of the day's snapshot.

    Parameters
    ----------
    traffic : pyarrow.Table
        `TRAFFIC_COLUMNS` of any impressions of the day.
    homes : pyarrow.Table
        `HOME_COLUMNS` of the day's listings; empty where there is no snapshot.
    rates : pyarrow.Table
        As of `position_rates` of the whole day.

    Returns
    -------
    pyarrow.Table
        Columns of `entity_counts` but ds, unique by entity and surface.
    """
    valid = traffic.filter(traffic["is_valid_traffic"])
    places = pc.index_in(_position_key(valid), _position_key(rates))
    counted = pa.table(
        {
            "listing": valid["listing_id"],
            "query": valid["query"],
            "user": valid["user_id"],
            "position": valid["position"].cast(pa.string()),
            "surface": valid["surface"],
            "impressions": pa.repeat(pa.scalar(1, pa.int64()), len(valid)),
            "clicks": valid["clicked"].cast(pa.int64()),
            "expected_clicks_micro": rates["rate_micro"].combine_chunks().take(places),
        }
    )
    by_listing = _of(counted, "listing")
    home = homes.take(pc.index_in(by_listing["entity_id"], homes["listing_id"].combine_chunks()))
    homed = by_listing.append_column("shop", home["shop_id"])
    homed = homed.append_column("category", home["category"])
    parts = [by_listing, *(_of(homed, entity) for entity in ("shop", "category"))]
    parts += [_of(counted, entity) for entity in ("query", "user", "position")]
    return pa.concat_tables(parts)


def add_counts(counts: pa.Table) -> pa.Table:
    """Add up the counts of several parts of a day's traffic, by entity and surface."""
    return _sum(counts, ("entity_type", "entity_id", "surface", "ds"), _SUMS)


def _of(counted: pa.Table, entity: str) -> pa.Table:
    """Counts of one entity type, whose ids are the column of its name; null is none."""
    known = counted.filter(pc.is_valid(counted[entity]))
    summed = _sum(known, (entity, "surface"), _SUMS)
    kind = pa.repeat(pa.scalar(entity, pa.string()), len(summed))
    return summed.rename_columns(["entity_id", *summed.column_names[1:]]).add_column(
        0, "entity_type", kind
    )


def _sum(rows: pa.Table, keys: Iterable[str], sums: Iterable[str]) -> pa.Table:
    """Sums per key, in the order in which the keys first come."""
    keys, sums = list(keys), list(sums)
    summed = rows.group_by(keys, use_threads=False).aggregate([(name, "sum") for name in sums])
    return summed.select([*keys, *(f"{name}_sum" for name in sums)]).rename_columns([*keys, *sums])


def _position_key(rows: pa.Table) -> pa.Array:
    """One number for a surface and position."""
    positions = np.asarray(rows["position"]).astype(np.int64)
    is_promoted = np.asarray(pc.equal(rows["surface"], "promoted"))
    return pa.array(2 * positions + is_promoted)

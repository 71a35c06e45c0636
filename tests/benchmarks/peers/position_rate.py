"""Peer (d): smoothed click rates of the days before, by surface and position, and by listing.

Recounted for each judged day. Not tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

CHOSEN: dict[str, float] = {"days": 30, "position_clicks": 2.0, "listing_clicks": 5.0}
GRID: dict[str, tuple[float, ...]] = {"listing_clicks": (1.0, 2.0, 5.0, 10.0, 20.0)}

_SHOWN = """
SET TimeZone = 'UTC';
CREATE TABLE shown AS
SELECT impression_id, ds::DATE AS ds, surface, position, listing_id,
    coalesce(clicked_at < ds::DATE::TIMESTAMPTZ + INTERVAL 26 HOUR, false) AS clicked
FROM read_parquet('{landing}/impressions/*/*.parquet')
LEFT JOIN (
    SELECT impression_id, min(ts) AS clicked_at
    FROM read_parquet('{landing}/clicks/*/*.parquet') GROUP BY ALL
) USING (impression_id)
"""

_PREDICTED = """
WITH past AS (
    SELECT * FROM shown WHERE ds < $day AND ds >= $day - $days::INTEGER
), surfaces AS (
    SELECT surface, (sum(clicked::INT) + 1) / (count(*) + 100) AS rate FROM past GROUP BY ALL
), positions AS (
    SELECT surface, position,
        (sum(clicked::INT) + $position_clicks) / (count(*) + $position_clicks / any_value(rate))
            AS rate
    FROM past JOIN surfaces USING (surface) GROUP BY ALL
), listings AS (
    SELECT listing_id, (sum(clicked::INT) + $listing_clicks) / (sum(rate) + $listing_clicks)
        AS factor
    FROM past JOIN positions USING (surface, position) GROUP BY ALL
)
SELECT impression_id,
    least(0.99, coalesce(p.rate, s.rate) * if($by_listing, coalesce(factor, 1), 1)) AS p
FROM shown
JOIN surfaces AS s USING (surface)
LEFT JOIN positions AS p USING (surface, position)
LEFT JOIN listings USING (listing_id)
WHERE ds = $day AND surface = 'promoted'
"""


def predict(
    landing: Path,
    judged: Sequence[date],
    *,
    by_listing: bool = False,
    settings: dict[str, float] = CHOSEN,
) -> pa.Table:
    """Click probabilities of the promoted impressions of some days: impression_id, p."""
    with duckdb.connect() as connection:
        connection.execute(_SHOWN.format(landing=landing))
        return pa.concat_tables(
            connection.sql(
                _PREDICTED, params={"day": day, "by_listing": by_listing, **settings}
            ).to_arrow_table()
            for day in judged
        )

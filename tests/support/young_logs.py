"""Public logs as a young warehouse: a hotel day cut into six, a week of fashion recommendations.

The rows are those of `conf/sources/`, as canonical Parquet files, so that no Spark is needed.
The six days of the hotel log are its blocks of four hours, as they would be with another
`to_date` in its SELECTs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import duckdb

_HOTELS = """
CREATE TEMP TABLE shown AS
SELECT *, unnest(items) AS item, unnest(amounts) AS amount,
  unnest(range(1, len(items) + 1)) AS place
FROM (
  SELECT concat_ws('-', session_id, step) AS request_id, user_id, city, device, platform, reference,
    string_split(impressions, '|') AS items, string_split(prices, '|') AS amounts,
    to_timestamp("timestamp") AT TIME ZONE 'UTC' AS shown_at,
    date_trunc('day', shown_at) + INTERVAL 1 DAY * (hour(shown_at) // 4) AS opening,
    opening + (shown_at - time_bucket(INTERVAL 4 HOUR, shown_at)) * 6 AS ts
  FROM '{folder}/trivago/actions_2018-11-07.parquet' WHERE action_type = 'clickout item'
);
CREATE TEMP TABLE impressions AS
SELECT concat_ws('-', request_id, place) AS impression_id, ts, 'promoted' AS surface, request_id,
  user_id, city AS query, item AS listing_id, place AS position, device, platform AS country,
  MAP {{'platform': platform, 'price': amount}} AS attributes, ts::DATE AS ds
FROM shown;
CREATE TEMP TABLE clicks AS
SELECT concat(request_id, '-click') AS click_id, concat_ws('-', request_id, place) AS impression_id,
  ts, ts::DATE AS ds
FROM shown WHERE item = reference;
CREATE TEMP TABLE listings AS
SELECT item AS listing_id, concat('hotel-', item) AS shop_id, mode(city) AS title,
  concat(trim(string_split(mode(city), ',')[-1]), ' > ', mode(city)) AS category,
  avg(amount::DOUBLE) AS price, MAP {{'shown': count(*)::VARCHAR}} AS attributes, ts::DATE AS ds
FROM shown GROUP BY item, ts::DATE
"""

_FASHION = """
CREATE TEMP TABLE shown AS
SELECT *, concat(policy, '-', column00) AS impression_id, "timestamp"::TIMESTAMP AS ts FROM (
  SELECT 'promoted' AS surface, 'bts' AS policy, *
  FROM read_csv('{folder}/open_bandit/bts_men_men.csv.gz', all_varchar=true)
  UNION ALL SELECT 'search', 'random', *
  FROM read_csv('{folder}/open_bandit/random_men_men.csv.gz', all_varchar=true)
);
CREATE TEMP TABLE impressions AS
SELECT impression_id, ts, surface, impression_id AS request_id,
  md5(concat_ws('|', user_feature_0, user_feature_1, user_feature_2, user_feature_3)) AS user_id,
  concat('item-', item_id) AS listing_id, position,
  MAP {{'propensity': propensity_score, 'user_feature_0': user_feature_0}} AS attributes,
  ts::DATE AS ds
FROM shown;
CREATE TEMP TABLE clicks AS
SELECT concat(impression_id, '-click') AS click_id, impression_id, ts, ts::DATE AS ds
FROM shown WHERE click = '1';
CREATE TEMP TABLE listings AS
SELECT concat('item-', item_id) AS listing_id, item_feature_2[:8] AS shop_id,
  concat_ws(' ', item_feature_1[:8], item_feature_2[:8], item_feature_3[:8]) AS title,
  [item_feature_1[:8], item_feature_2[:8], item_feature_3[:8]] AS tags,
  item_feature_3[:8] AS category, TRUE AS is_promoted, ds
FROM read_csv('{folder}/open_bandit/item_context_men.csv', all_varchar=true),
  (SELECT DISTINCT ts::DATE AS ds FROM shown)
"""

LOGS: Mapping[str, str] = {"hotels": _HOTELS, "fashion": _FASHION}

# Columns that a log may lack, with what canonical files have for them.
_COLUMNS = {
    "impressions": {
        "impression_id": "VARCHAR", "ts": "TIMESTAMPTZ", "surface": "VARCHAR",
        "request_id": "VARCHAR", "user_id": "VARCHAR", "query": "VARCHAR", "listing_id": "VARCHAR",
        "position": "INT", "device": "VARCHAR", "country": "VARCHAR",
        "attributes": "MAP(VARCHAR, VARCHAR)",
    },
    "clicks": {"click_id": "VARCHAR", "impression_id": "VARCHAR", "ts": "TIMESTAMPTZ"},
    "listings": {
        "listing_id": "VARCHAR", "shop_id": "VARCHAR", "title": "VARCHAR", "tags": "VARCHAR[]",
        "category": "VARCHAR", "price": "DOUBLE", "quantity": "INT", "created_ts": "TIMESTAMPTZ",
        "is_promoted": "BOOLEAN", "image_vector": "FLOAT[]", "attributes": "MAP(VARCHAR, VARCHAR)",
    },
}  # fmt: skip
_ABSENT = {"is_promoted": "TRUE", "quantity": "1", "tags": "[]"}


def land(name: str, datasets: Path, landing: Path) -> list[date]:
    """Write the canonical files of a log and give its days."""
    with duckdb.connect() as db:
        # One thread: ties and sums of fractions come out the same each time.
        db.execute("SET TimeZone = 'UTC'; SET threads = 1")
        db.execute(LOGS[name].format(folder=datasets))
        days = [
            row[0]
            for row in db.execute("SELECT DISTINCT ds FROM impressions ORDER BY 1").fetchall()
        ]
        for log, columns in _COLUMNS.items():
            held = {row[0] for row in db.execute(f"DESCRIBE {log}").fetchall()}
            made = ", ".join(
                f"{column if column in held else _ABSENT.get(column, 'NULL')}::{kind} AS {column}"
                for column, kind in columns.items()
            )
            for day in days:
                file = landing / log / f"ds={day}" / "part-0.parquet"
                file.parent.mkdir(parents=True)
                rows = f"SELECT {made} FROM {log} WHERE ds = DATE '{day}' ORDER BY 1"
                db.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet)")
    return days

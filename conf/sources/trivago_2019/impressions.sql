-- One item of a list is one impression; its place in the list is its position.
WITH click_outs AS (
  SELECT
    concat_ws('-', session_id, step) AS request_id,
    timestamp_seconds(`timestamp`) AS ts,
    user_id, platform, city, device, current_filters,
    split(impressions, '[|]') AS items,
    CAST(split(prices, '[|]') AS ARRAY<DOUBLE>) AS amounts
  FROM actions
  WHERE action_type = 'clickout item'
),
lists AS (
  -- 1 is the cheapest of the list. Ranked once a list, not once an item.
  SELECT *, transform(amounts, amount -> array_position(array_sort(amounts), amount)) AS ranks
  FROM click_outs
),
shown AS (
  SELECT *, posexplode(arrays_zip(items, amounts, ranks)) AS (place, item) FROM lists
)
SELECT
  concat_ws('-', request_id, place + 1) AS impression_id,
  ts,
  'promoted' AS surface,
  request_id,
  user_id,
  city AS query,
  item.items AS listing_id,
  place + 1 AS position,
  device,
  platform AS country,
  map_filter(
    map(
      'platform', platform,
      'price', CAST(item.amounts AS STRING),
      'price_rank', CAST(item.ranks AS STRING),
      'filters', current_filters
    ),
    (name, value) -> value IS NOT NULL
  ) AS attributes,
  to_date(ts) AS ds
FROM shown

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
shown AS (
  SELECT *, posexplode(items) AS (place, item) FROM click_outs
)
SELECT
  concat_ws('-', request_id, place + 1) AS impression_id,
  ts,
  'promoted' AS surface,
  request_id,
  user_id,
  city AS query,
  item AS listing_id,
  place + 1 AS position,
  device,
  platform AS country,
  map_filter(
    map(
      'platform', platform,
      'price', CAST(amounts[place] AS STRING),
      -- 1 is the cheapest of the list.
      'price_rank', CAST(size(filter(amounts, amount -> amount < amounts[place])) + 1 AS STRING),
      'filters', current_filters
    ),
    (name, value) -> value IS NOT NULL
  ) AS attributes,
  to_date(ts) AS ds
FROM shown

-- There is no catalogue here: a listing is an item that was shown, at its mean price of the day, in the
-- city that it was shown for most. It is its own shop, as a hotel is.
WITH click_outs AS (
  SELECT
    to_date(timestamp_seconds(`timestamp`)) AS ds,
    city,
    split(impressions, '[|]') AS items,
    split(prices, '[|]') AS amounts
  FROM actions
  WHERE action_type = 'clickout item'
),
shown AS (
  SELECT ds, city, inline(arrays_zip(items, amounts)) AS (item, amount) FROM click_outs
),
places AS (
  SELECT ds, item, city, count(*) AS times, sum(CAST(amount AS BIGINT)) AS amounts
  FROM shown
  GROUP BY ds, item, city
)
SELECT
  item AS listing_id,
  concat('hotel-', item) AS shop_id,
  max_by(city, struct(times, city)) AS title,
  concat_ws(' > ', trim(split_part(max_by(city, struct(times, city)), ',', -1)),
            max_by(city, struct(times, city))) AS category,
  -- Whole numbers are summed, so that the order of the rows does not matter.
  sum(amounts) / sum(times) AS price,
  TRUE AS is_promoted,
  map('shown', CAST(sum(times) AS STRING)) AS attributes,
  ds
FROM places
GROUP BY ds, item

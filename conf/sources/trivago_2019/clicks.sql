-- The item clicked, where it is in the list that was shown: some click-outs went elsewhere.
WITH click_outs AS (
  SELECT
    concat_ws('-', session_id, step) AS request_id,
    timestamp_seconds(`timestamp`) AS ts,
    array_position(split(impressions, '[|]'), reference) AS position
  FROM actions
  WHERE action_type = 'clickout item'
)
SELECT
  concat(request_id, '-click') AS click_id,
  concat_ws('-', request_id, position) AS impression_id,
  ts,
  to_date(ts) AS ds
FROM click_outs
WHERE position > 0

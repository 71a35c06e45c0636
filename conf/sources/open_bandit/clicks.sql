-- A click is a mark on the impression's row, so it has the impression's time.
WITH shown AS (
  SELECT 'bts' AS policy, _c0, `timestamp`, click FROM bts
  UNION ALL
  SELECT 'random' AS policy, _c0, `timestamp`, click FROM random
)
SELECT
  concat(policy, '-', _c0, '-click') AS click_id,
  concat(policy, '-', _c0) AS impression_id,
  `timestamp` AS ts,
  to_date(`timestamp`) AS ds
FROM shown
WHERE click = '1'

-- One row shown is one impression. There are no page ids: each is its own page.
WITH shown AS (
  SELECT 'promoted' AS surface, 'bts' AS policy, * FROM bts
  UNION ALL
  SELECT 'search' AS surface, 'random' AS policy, * FROM random
)
SELECT
  concat(policy, '-', _c0) AS impression_id,
  `timestamp` AS ts,
  surface,
  concat(policy, '-', _c0) AS request_id,
  -- The user features are hashes already: together they are the closest thing to a user.
  md5(concat_ws('|', user_feature_0, user_feature_1, user_feature_2, user_feature_3)) AS user_id,
  concat('item-', item_id) AS listing_id,
  position,
  map_filter(
    map(
      -- The affinity of the user to the item that was shown, of the one column per item there is.
      'affinity', element_at(array(
        `user-item_affinity_0`, `user-item_affinity_1`, `user-item_affinity_2`, 
        `user-item_affinity_3`, `user-item_affinity_4`, `user-item_affinity_5`, 
        `user-item_affinity_6`, `user-item_affinity_7`, `user-item_affinity_8`, 
        `user-item_affinity_9`, `user-item_affinity_10`, `user-item_affinity_11`, 
        `user-item_affinity_12`, `user-item_affinity_13`, `user-item_affinity_14`, 
        `user-item_affinity_15`, `user-item_affinity_16`, `user-item_affinity_17`, 
        `user-item_affinity_18`, `user-item_affinity_19`, `user-item_affinity_20`, 
        `user-item_affinity_21`, `user-item_affinity_22`, `user-item_affinity_23`, 
        `user-item_affinity_24`, `user-item_affinity_25`, `user-item_affinity_26`, 
        `user-item_affinity_27`, `user-item_affinity_28`, `user-item_affinity_29`, 
        `user-item_affinity_30`, `user-item_affinity_31`, `user-item_affinity_32`, 
        `user-item_affinity_33`
      ), try_cast(item_id AS INT) + 1),
      'propensity', propensity_score,
      'user_feature_0', user_feature_0,
      'user_feature_1', user_feature_1,
      'user_feature_2', user_feature_2,
      'user_feature_3', user_feature_3
    ),
    (name, value) -> value IS NOT NULL
  ) AS attributes,
  to_date(`timestamp`) AS ds
FROM shown

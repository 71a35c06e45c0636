-- The items are the same every day and all of them are promoted. Their features are hashed words:
-- they make the title, the tags and the category.
WITH days AS (
  SELECT DISTINCT to_date(`timestamp`) AS ds FROM bts
  UNION
  SELECT DISTINCT to_date(`timestamp`) AS ds FROM random
)
SELECT
  concat('item-', item_id) AS listing_id,
  substr(item_feature_2, 1, 8) AS shop_id,
  concat_ws(' ', substr(item_feature_1, 1, 8), substr(item_feature_2, 1, 8), substr(item_feature_3, 1, 8)) AS title,
  array(substr(item_feature_1, 1, 8), substr(item_feature_2, 1, 8), substr(item_feature_3, 1, 8)) AS tags,
  substr(item_feature_3, 1, 8) AS category,
  TRUE AS is_promoted,
  map('item_feature_0', item_feature_0) AS attributes,
  ds
FROM items CROSS JOIN days

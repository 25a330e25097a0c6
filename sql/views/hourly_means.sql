-- The current mean of every region and hour, and the mean of the hour three hours earlier.
WITH newest AS (
  SELECT *
  FROM regional_means_revisions
  WHERE window_size = 3600 AND window_period = 3600
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY region_code, quantity, window_start
    ORDER BY revision DESC, emitted_at DESC, run_id DESC) = 1
)
SELECT
  this_hour.region_code, this_hour.region, this_hour.quantity, this_hour.window_start AS hour,
  this_hour.count, this_hour.mean, this_hour.min, this_hour.max, this_hour.stddev,
  earlier.mean AS mean_3h_before,
  this_hour.revision, this_hour.pane, this_hour.emitted_at
FROM newest AS this_hour
LEFT JOIN newest AS earlier
  ON earlier.region_code = this_hour.region_code
  AND earlier.quantity = this_hour.quantity
  AND earlier.window_start = TIMESTAMP_SUB(this_hour.window_start, INTERVAL 3 HOUR)
  AND earlier.count > 0
WHERE this_hour.count > 0

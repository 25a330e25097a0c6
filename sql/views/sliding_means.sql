-- The current mean of every region and window, for all windows but the hourly ones.
WITH newest AS (
  SELECT *
  FROM regional_means_revisions
  WHERE NOT (window_size = 3600 AND window_period = 3600)
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY region_code, quantity, window_size, window_period, window_start
    ORDER BY revision DESC, emitted_at DESC, run_id DESC) = 1
)
SELECT
  region_code, region, quantity, window_size, window_period, window_start, window_end,
  count, mean, min, max, stddev, revision, pane, emitted_at
FROM newest
WHERE count > 0

-- The current mean of every sensor and window, for windows of all kinds.
WITH newest AS (
  SELECT *
  FROM sensor_means_revisions
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY sensor_id, quantity, window_size, window_period, window_start
    ORDER BY revision DESC, emitted_at DESC, run_id DESC) = 1
)
SELECT
  sensor_id, quantity, window_size, window_period, window_start, window_end,
  count, mean, min, max, stddev, revision, pane, emitted_at
FROM newest
WHERE count > 0

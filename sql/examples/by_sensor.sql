-- Which sensors changed most from one window to the next, in windows that do not overlap. Runs by
-- region write such windows only for sensors without a place: see --group_by.
WITH steps AS (
  SELECT
    sensor_id, quantity, window_size, window_start, mean,
    mean - LAG(mean) OVER (
      PARTITION BY sensor_id, quantity, window_size ORDER BY window_start) AS step
  FROM sensor_means
  WHERE window_size = window_period
)
SELECT sensor_id, quantity, window_size, window_start, mean, ROUND(step, 4) AS step
FROM steps
WHERE step IS NOT NULL
ORDER BY ABS(step) DESC, sensor_id, quantity, window_start
LIMIT 20

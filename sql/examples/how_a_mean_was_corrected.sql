-- How the mean of one region and hour was corrected over time: every row that was ever written.
SELECT
  revision, emitted_at, pane, count, mean,
  ROUND(mean - LAG(mean) OVER (ORDER BY revision, emitted_at, run_id), 4) AS change,
  run_id
FROM regional_means_revisions
WHERE region = 'Occitanie' AND quantity = 'temperature'
  AND window_size = 3600 AND window_period = 3600
  AND window_start = TIMESTAMP '2019-02-19 14:00:00'
ORDER BY revision, emitted_at, run_id

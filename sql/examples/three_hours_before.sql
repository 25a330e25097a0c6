-- How much warmer each region became within three hours.
SELECT region, hour, mean, mean_3h_before, ROUND(mean - mean_3h_before, 2) AS change
FROM hourly_means
WHERE quantity = 'temperature' AND mean_3h_before IS NOT NULL
ORDER BY hour DESC, change DESC
LIMIT 20

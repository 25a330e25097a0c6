-- The means of one hour, region by region.
SELECT region, count, mean, min, max
FROM hourly_means
WHERE quantity = 'temperature' AND hour = TIMESTAMP '2019-02-19 14:00:00'
ORDER BY region

-- The warmest region of each hour.
SELECT hour, region, mean
FROM hourly_means
WHERE quantity = 'temperature'
QUALIFY ROW_NUMBER() OVER (PARTITION BY hour ORDER BY mean DESC, region_code) = 1
ORDER BY hour

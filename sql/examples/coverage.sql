-- Where measurements are thin: how many places measured in each region and hour, beside how many
-- the region has in all.
WITH places AS (
  SELECT
    region, region_code, TIMESTAMP_TRUNC(event_time, HOUR) AS hour,
    CONCAT(CAST(longitude AS STRING), ' ', CAST(latitude AS STRING)) AS place
  FROM latest_readings
  WHERE region_code IS NOT NULL AND quantity = 'temperature'
),
in_all AS (
  SELECT region_code, COUNT(DISTINCT place) AS places
  FROM places
  GROUP BY region_code
)
SELECT
  places.region, places.hour,
  COUNT(*) AS readings,
  COUNT(DISTINCT places.place) AS places,
  ROUND(100 * COUNT(DISTINCT places.place) / ANY_VALUE(in_all.places), 1) AS percent_of_places
FROM places
JOIN in_all ON in_all.region_code = places.region_code
GROUP BY places.region, places.hour
ORDER BY percent_of_places, places.region, places.hour
LIMIT 20

-- BigQuery only. Whether readings are assigned to the region that holds them: places that lie
-- within a region and have another or none, and places that lie too far from the region that they
-- have. A place in no region may belong to one that is at most 0.07° away, which is 7.8 km.
WITH places AS (
  SELECT longitude, latitude, region_code, COUNT(*) AS readings
  FROM latest_readings
  WHERE longitude IS NOT NULL AND latitude IS NOT NULL
  GROUP BY longitude, latitude, region_code
),
held AS (
  SELECT places.longitude, places.latitude, places.region_code, regions.region_code AS holds
  FROM places
  JOIN regions ON ST_CONTAINS(regions.boundary, ST_GEOGPOINT(places.longitude, places.latitude))
),
measured AS (
  SELECT
    places.longitude, places.latitude, places.region_code,
    ST_DISTANCE(
      ST_CLOSESTPOINT(regions.boundary, ST_GEOGPOINT(places.longitude, places.latitude)),
      ST_GEOGPOINT(places.longitude, places.latitude)) AS metres
  FROM places
  JOIN regions ON regions.region_code = places.region_code
)
SELECT
  places.longitude, places.latitude, places.region_code AS assigned, held.holds AS lies_in,
  ROUND(measured.metres) AS metres_away, places.readings
FROM places
LEFT JOIN held
  ON held.longitude = places.longitude AND held.latitude = places.latitude
  AND IFNULL(held.region_code, '') = IFNULL(places.region_code, '')
LEFT JOIN measured
  ON measured.longitude = places.longitude AND measured.latitude = places.latitude
  AND measured.region_code = places.region_code
-- Within a metre of a border both sides are right.
WHERE (held.holds != IFNULL(places.region_code, '') AND IFNULL(measured.metres, 2) > 1)
  OR measured.metres > 7900
ORDER BY places.readings DESC, places.longitude, places.latitude

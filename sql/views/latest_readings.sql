-- The current version of every reading; readings that were deleted are left out.
-- Two rows are about one reading if format, id and quantity are equal; without an id, if sensor,
-- quantity and event time are; without a sensor either, if format, place, quantity and event time
-- are.
WITH ordered AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY
        quantity, id,
        IF(id IS NULL AND sensor_id IS NOT NULL, NULL, format),
        IF(id IS NULL, sensor_id, NULL),
        IF(id IS NULL, UNIX_MICROS(event_time), NULL),
        IF(id IS NULL AND sensor_id IS NULL, CAST(longitude + 0.0 AS STRING), NULL),
        IF(id IS NULL AND sensor_id IS NULL, CAST(latitude + 0.0 AS STRING), NULL)
      ORDER BY
        CASE version_kind WHEN 'version' THEN 3 WHEN 'updated_at' THEN 2 WHEN 'arrival' THEN 1
          ELSE 0 END DESC,
        version DESC, deleted DESC, event_time DESC,
        IFNULL(longitude, -999.0) DESC, IFNULL(latitude, -999.0) DESC, value DESC,
        region_code DESC, sensor_id DESC, ingested_at, run_id, source) AS place
  FROM readings
)
SELECT * EXCEPT (place)
FROM ordered
WHERE place = 1 AND NOT deleted

-- Day by day: how many versions of readings there are in the archive, what share came too late, and
-- how many records were rejected on that day. What several runs read counts once.
WITH versions AS (
  SELECT DATE(event_time) AS day, too_late
  FROM readings
  WHERE NOT deleted
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY
      format, id, sensor_id, quantity, UNIX_MICROS(event_time), CAST(longitude AS STRING),
      CAST(latitude AS STRING), CAST(value AS STRING), region_code, version, version_kind
    ORDER BY ingested_at, run_id, source) = 1
),
records AS (
  SELECT DATE(rejected_at) AS day
  FROM rejected_readings
  WHERE reason != 'too_late'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, raw_sha256 ORDER BY run_id) = 1
),
archived AS (
  SELECT day, COUNT(*) AS readings, COUNTIF(too_late) AS too_late
  FROM versions
  GROUP BY day
),
rejected AS (
  SELECT day, COUNT(*) AS records
  FROM records
  GROUP BY day
)
SELECT
  day,
  IFNULL(archived.readings, 0) AS readings,
  IFNULL(archived.too_late, 0) AS too_late,
  ROUND(100 * archived.too_late / archived.readings, 2) AS percent_too_late,
  IFNULL(rejected.records, 0) AS rejected
FROM archived
FULL JOIN rejected USING (day)
ORDER BY day

-- Day by day: how many readings there are in the archive, what share came too late, and how many
-- records were rejected on that day.
WITH archived AS (
  SELECT DATE(event_time) AS day, COUNT(*) AS readings, COUNTIF(too_late) AS too_late
  FROM readings
  WHERE NOT deleted
  GROUP BY day
),
rejected AS (
  SELECT DATE(rejected_at) AS day, COUNT(*) AS records
  FROM rejected_readings
  WHERE reason != 'too_late'
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

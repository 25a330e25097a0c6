-- The rejected records that no replay has brought in since.
WITH replayed AS (
  SELECT DISTINCT source, raw_sha256
  FROM replayed_records
)
SELECT
  rejected.reason, rejected.detail, rejected.raw, rejected.raw_size, rejected.raw_sha256,
  rejected.source, rejected.rejected_at, rejected.run_id
FROM rejected_readings AS rejected
LEFT JOIN replayed
  ON replayed.source = rejected.source AND replayed.raw_sha256 = rejected.raw_sha256
WHERE replayed.source IS NULL
QUALIFY RANK() OVER (
  PARTITION BY rejected.source, rejected.raw_sha256
  ORDER BY rejected.rejected_at, rejected.run_id) = 1

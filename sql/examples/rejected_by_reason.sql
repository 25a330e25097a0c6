-- The share of each reason among the rejected records. A record that several runs read counts once.
SELECT
  reason,
  COUNT(*) AS records,
  ROUND(100 * COUNT(*) / SUM(COUNT(*)) OVER (), 2) AS percent,
  MIN(detail) AS example
FROM (
  SELECT *
  FROM rejected_readings
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY source, raw_sha256 ORDER BY rejected_at) = 1
)
GROUP BY reason
ORDER BY records DESC, reason

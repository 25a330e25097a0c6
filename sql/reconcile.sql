-- Recomputes windows from the archive and appends those that differ from the newest row of their
-- window: two statements that differ in whose windows they are, those of regions and of sensors.
-- `python -m pipelines.reconcile --output bigquery://PROJECT.DATASET` runs them. Query parameters:
--   first, last  TIMESTAMP  windows that begin then or later, and before then; NULL for all
--   group_by     STRING     region, sensor or both, as the runs grouped that fill the dataset
--   run_id       STRING     what the rows that are written name as their run
--   written_at   TIMESTAMP  the time of writing; it gives the rows their revision
-- Readings that came too late count. All sums are of whole millionths and exact, whatever their
-- order. A mean is their quotient, correctly rounded while the sum is below 2^53 millionths; a
-- standard deviation may differ from that of a run in its last digit. So rows are equal whose
-- numbers differ by less than 2e-15 of themselves.

-- Windows of regions.
MERGE regional_means_revisions AS held
USING (
  WITH kinds AS (
    -- Windows of all kinds that the tables hold; in empty ones hourly and sliding windows.
    SELECT window_size, window_period FROM regional_means_revisions
    UNION DISTINCT
    SELECT window_size, window_period FROM sensor_means_revisions
    UNION DISTINCT
    SELECT 3600, window_period
    FROM UNNEST([3600, 300]) AS window_period
    WHERE NOT EXISTS (SELECT 1 FROM regional_means_revisions)
      AND NOT EXISTS (SELECT 1 FROM sensor_means_revisions)
  ),
  bounds AS (
    SELECT
      IFNULL(@first, TIMESTAMP '0001-01-02 00:00:00+00') AS first_start,
      IFNULL(@last, TIMESTAMP '9998-12-31 00:00:00+00') AS last_start,
      MAX(window_size) AS longest,
      MIN(window_period) AS shortest
    FROM kinds
  ),
  divisors AS (
    SELECT divisor, DIV(bounds.shortest, divisor) AS other
    FROM bounds
    CROSS JOIN UNNEST(GENERATE_ARRAY(1, CAST(FLOOR(SQRT(bounds.shortest)) AS INT64))) AS divisor
  ),
  cut AS (
    -- A slice is the longest time that divides all sizes and periods: 5 minutes for 60 every 5.
    SELECT MAX(seconds) AS seconds
    FROM (
      SELECT candidates.seconds
      FROM (
        SELECT divisor AS seconds FROM divisors
        UNION DISTINCT
        SELECT other AS seconds FROM divisors
      ) AS candidates
      CROSS JOIN kinds
      GROUP BY candidates.seconds
      HAVING LOGICAL_AND(
        MOD(kinds.window_size, candidates.seconds) = 0
        AND MOD(kinds.window_period, candidates.seconds) = 0)
    )
  ),
  counted AS (
    -- The newest version of each reading that counts in a window of the span.
    SELECT
      latest_readings.region_code AS owner, latest_readings.region AS region, latest_readings.quantity,
      CAST(FLOOR(UNIX_MICROS(latest_readings.event_time) / 1000000) AS INT64) AS second,
      CAST(ROUND(latest_readings.value * 1000000) AS INT64) AS millionths
    FROM latest_readings
    CROSS JOIN bounds
    WHERE latest_readings.region_code IS NOT NULL AND @group_by != 'sensor'
      AND latest_readings.event_time >= bounds.first_start
      AND latest_readings.event_time
        < TIMESTAMP_ADD(bounds.last_start, INTERVAL bounds.longest SECOND)
  ),
  slices AS (
    SELECT
      owner, quantity,
      second - MOD(MOD(second, cut.seconds) + cut.seconds, cut.seconds) AS slice_start,
      MAX(region) AS region,
      COUNT(*) AS readings,
      SUM(CAST(millionths AS BIGNUMERIC)) AS total,
      SUM(CAST(millionths AS BIGNUMERIC) * CAST(millionths AS BIGNUMERIC)) AS squares,
      MIN(millionths) AS least,
      MAX(millionths) AS greatest
    FROM counted
    CROSS JOIN cut
    GROUP BY owner, quantity, slice_start
  ),
  placed AS (
    SELECT
      slices.*, kinds.window_size, kinds.window_period,
      MOD(MOD(slice_start, window_period) + window_period, window_period) AS into_newest
    FROM slices
    CROSS JOIN kinds
  ),
  totals AS (
    SELECT
      owner, quantity, window_size, window_period,
      TIMESTAMP_SECONDS(slice_start - into_newest - step * window_period) AS window_start,
      MAX(region) AS region,
      SUM(readings) AS readings,
      SUM(total) AS total,
      SUM(squares) AS squares,
      MIN(least) AS least,
      MAX(greatest) AS greatest
    FROM placed
    CROSS JOIN UNNEST(
      GENERATE_ARRAY(0, DIV((window_size - into_newest - 1), window_period))) AS step
    GROUP BY owner, quantity, window_size, window_period, window_start
  ),
  computed AS (
    SELECT
      owner, region, quantity, window_size, window_period, window_start, readings,
      CAST(total AS FLOAT64) / CAST(readings * 1000000 AS FLOAT64) AS mean,
      CAST(least AS FLOAT64) / 1000000 AS min,
      CAST(greatest AS FLOAT64) / 1000000 AS max,
      IF(readings > 1,
        SQRT(CAST(readings * squares - total * total AS FLOAT64)
          / CAST(readings * (readings - 1) AS FLOAT64)) / 1000000,
        NULL) AS stddev
    FROM totals
    CROSS JOIN bounds
    WHERE window_start >= first_start AND window_start < last_start
  ),
  shown AS (
    -- The newest row of each window: what a reader sees.
    SELECT
      region_code AS owner, region AS region, quantity, window_size, window_period,
      window_start, count AS readings, mean, min, max, stddev, revision
    FROM regional_means_revisions
    WHERE window_start >= IFNULL(@first, TIMESTAMP '0001-01-02 00:00:00+00')
      AND window_start < IFNULL(@last, TIMESTAMP '9998-12-31 00:00:00+00')
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY region_code, quantity, window_size, window_period, window_start
      ORDER BY revision DESC, emitted_at DESC, run_id DESC) = 1
  )
  -- Windows that lost all their readings stay, with the count 0.
  SELECT
    IFNULL(computed.owner, shown.owner) AS owner,
    IFNULL(computed.region, shown.region) AS region,
    IFNULL(computed.quantity, shown.quantity) AS quantity,
    IFNULL(computed.window_size, shown.window_size) AS window_size,
    IFNULL(computed.window_period, shown.window_period) AS window_period,
    IFNULL(computed.window_start, shown.window_start) AS window_start,
    IFNULL(computed.readings, 0) AS readings,
    computed.mean, computed.min, computed.max, computed.stddev,
    -- Greater than that of the row which it replaces, whatever its writer's clock said.
    GREATEST(UNIX_MICROS(@written_at), IFNULL(shown.revision + 1, 0)) AS revision
  FROM computed
  FULL JOIN shown
    ON shown.owner = computed.owner AND shown.quantity = computed.quantity
    AND shown.window_size = computed.window_size
    AND shown.window_period = computed.window_period
    AND shown.window_start = computed.window_start
  WHERE NOT (
    IFNULL(computed.readings, 0) = IFNULL(shown.readings, 0)
    AND IFNULL(ABS(computed.mean - shown.mean) <= 2e-15 * ABS(computed.mean),
      computed.mean IS NULL AND shown.mean IS NULL)
    AND IFNULL(computed.min = shown.min, computed.min IS NULL AND shown.min IS NULL)
    AND IFNULL(computed.max = shown.max, computed.max IS NULL AND shown.max IS NULL)
    AND IFNULL(ABS(computed.stddev - shown.stddev) <= 2e-15 * ABS(computed.stddev),
      computed.stddev IS NULL AND shown.stddev IS NULL))
) AS fresh
-- Run again after its rows were written, with the same time, it finds them by their revision.
ON held.region_code = fresh.owner AND held.quantity = fresh.quantity
  AND held.window_size = fresh.window_size AND held.window_period = fresh.window_period
  AND held.window_start = fresh.window_start AND held.revision = fresh.revision
WHEN NOT MATCHED THEN INSERT (
  region_code, region, quantity, window_size, window_period, window_start, window_end,
  count, mean, min, max, stddev, revision, pane, emitted_at, run_id)
VALUES (
  fresh.owner, fresh.region, fresh.quantity, fresh.window_size, fresh.window_period, fresh.window_start,
  TIMESTAMP_ADD(fresh.window_start, INTERVAL fresh.window_size SECOND),
  fresh.readings, fresh.mean, fresh.min, fresh.max, fresh.stddev,
  fresh.revision, 'reconciled', @written_at, @run_id);

-- Windows of sensors.
MERGE sensor_means_revisions AS held
USING (
  WITH kinds AS (
    -- Windows of all kinds that the tables hold; in empty ones hourly and sliding windows.
    SELECT window_size, window_period FROM regional_means_revisions
    UNION DISTINCT
    SELECT window_size, window_period FROM sensor_means_revisions
    UNION DISTINCT
    SELECT 3600, window_period
    FROM UNNEST([3600, 300]) AS window_period
    WHERE NOT EXISTS (SELECT 1 FROM regional_means_revisions)
      AND NOT EXISTS (SELECT 1 FROM sensor_means_revisions)
  ),
  bounds AS (
    SELECT
      IFNULL(@first, TIMESTAMP '0001-01-02 00:00:00+00') AS first_start,
      IFNULL(@last, TIMESTAMP '9998-12-31 00:00:00+00') AS last_start,
      MAX(window_size) AS longest,
      MIN(window_period) AS shortest
    FROM kinds
  ),
  divisors AS (
    SELECT divisor, DIV(bounds.shortest, divisor) AS other
    FROM bounds
    CROSS JOIN UNNEST(GENERATE_ARRAY(1, CAST(FLOOR(SQRT(bounds.shortest)) AS INT64))) AS divisor
  ),
  cut AS (
    -- A slice is the longest time that divides all sizes and periods: 5 minutes for 60 every 5.
    SELECT MAX(seconds) AS seconds
    FROM (
      SELECT candidates.seconds
      FROM (
        SELECT divisor AS seconds FROM divisors
        UNION DISTINCT
        SELECT other AS seconds FROM divisors
      ) AS candidates
      CROSS JOIN kinds
      GROUP BY candidates.seconds
      HAVING LOGICAL_AND(
        MOD(kinds.window_size, candidates.seconds) = 0
        AND MOD(kinds.window_period, candidates.seconds) = 0)
    )
  ),
  counted AS (
    -- The newest version of each reading that counts in a window of the span.
    SELECT
      latest_readings.sensor_id AS owner, CAST(NULL AS STRING) AS region, latest_readings.quantity,
      CAST(FLOOR(UNIX_MICROS(latest_readings.event_time) / 1000000) AS INT64) AS second,
      CAST(ROUND(latest_readings.value * 1000000) AS INT64) AS millionths
    FROM latest_readings
    CROSS JOIN bounds
    WHERE latest_readings.sensor_id IS NOT NULL
      AND (@group_by != 'region'
        OR latest_readings.longitude IS NULL OR latest_readings.latitude IS NULL)
      AND latest_readings.event_time >= bounds.first_start
      AND latest_readings.event_time
        < TIMESTAMP_ADD(bounds.last_start, INTERVAL bounds.longest SECOND)
  ),
  slices AS (
    SELECT
      owner, quantity,
      second - MOD(MOD(second, cut.seconds) + cut.seconds, cut.seconds) AS slice_start,
      MAX(region) AS region,
      COUNT(*) AS readings,
      SUM(CAST(millionths AS BIGNUMERIC)) AS total,
      SUM(CAST(millionths AS BIGNUMERIC) * CAST(millionths AS BIGNUMERIC)) AS squares,
      MIN(millionths) AS least,
      MAX(millionths) AS greatest
    FROM counted
    CROSS JOIN cut
    GROUP BY owner, quantity, slice_start
  ),
  placed AS (
    SELECT
      slices.*, kinds.window_size, kinds.window_period,
      MOD(MOD(slice_start, window_period) + window_period, window_period) AS into_newest
    FROM slices
    CROSS JOIN kinds
  ),
  totals AS (
    SELECT
      owner, quantity, window_size, window_period,
      TIMESTAMP_SECONDS(slice_start - into_newest - step * window_period) AS window_start,
      MAX(region) AS region,
      SUM(readings) AS readings,
      SUM(total) AS total,
      SUM(squares) AS squares,
      MIN(least) AS least,
      MAX(greatest) AS greatest
    FROM placed
    CROSS JOIN UNNEST(
      GENERATE_ARRAY(0, DIV((window_size - into_newest - 1), window_period))) AS step
    GROUP BY owner, quantity, window_size, window_period, window_start
  ),
  computed AS (
    SELECT
      owner, region, quantity, window_size, window_period, window_start, readings,
      CAST(total AS FLOAT64) / CAST(readings * 1000000 AS FLOAT64) AS mean,
      CAST(least AS FLOAT64) / 1000000 AS min,
      CAST(greatest AS FLOAT64) / 1000000 AS max,
      IF(readings > 1,
        SQRT(CAST(readings * squares - total * total AS FLOAT64)
          / CAST(readings * (readings - 1) AS FLOAT64)) / 1000000,
        NULL) AS stddev
    FROM totals
    CROSS JOIN bounds
    WHERE window_start >= first_start AND window_start < last_start
  ),
  shown AS (
    -- The newest row of each window: what a reader sees.
    SELECT
      sensor_id AS owner, CAST(NULL AS STRING) AS region, quantity, window_size, window_period,
      window_start, count AS readings, mean, min, max, stddev, revision
    FROM sensor_means_revisions
    WHERE window_start >= IFNULL(@first, TIMESTAMP '0001-01-02 00:00:00+00')
      AND window_start < IFNULL(@last, TIMESTAMP '9998-12-31 00:00:00+00')
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY sensor_id, quantity, window_size, window_period, window_start
      ORDER BY revision DESC, emitted_at DESC, run_id DESC) = 1
  )
  -- Windows that lost all their readings stay, with the count 0.
  SELECT
    IFNULL(computed.owner, shown.owner) AS owner,
    IFNULL(computed.region, shown.region) AS region,
    IFNULL(computed.quantity, shown.quantity) AS quantity,
    IFNULL(computed.window_size, shown.window_size) AS window_size,
    IFNULL(computed.window_period, shown.window_period) AS window_period,
    IFNULL(computed.window_start, shown.window_start) AS window_start,
    IFNULL(computed.readings, 0) AS readings,
    computed.mean, computed.min, computed.max, computed.stddev,
    -- Greater than that of the row which it replaces, whatever its writer's clock said.
    GREATEST(UNIX_MICROS(@written_at), IFNULL(shown.revision + 1, 0)) AS revision
  FROM computed
  FULL JOIN shown
    ON shown.owner = computed.owner AND shown.quantity = computed.quantity
    AND shown.window_size = computed.window_size
    AND shown.window_period = computed.window_period
    AND shown.window_start = computed.window_start
  WHERE NOT (
    IFNULL(computed.readings, 0) = IFNULL(shown.readings, 0)
    AND IFNULL(ABS(computed.mean - shown.mean) <= 2e-15 * ABS(computed.mean),
      computed.mean IS NULL AND shown.mean IS NULL)
    AND IFNULL(computed.min = shown.min, computed.min IS NULL AND shown.min IS NULL)
    AND IFNULL(computed.max = shown.max, computed.max IS NULL AND shown.max IS NULL)
    AND IFNULL(ABS(computed.stddev - shown.stddev) <= 2e-15 * ABS(computed.stddev),
      computed.stddev IS NULL AND shown.stddev IS NULL))
) AS fresh
-- Run again after its rows were written, with the same time, it finds them by their revision.
ON held.sensor_id = fresh.owner AND held.quantity = fresh.quantity
  AND held.window_size = fresh.window_size AND held.window_period = fresh.window_period
  AND held.window_start = fresh.window_start AND held.revision = fresh.revision
WHEN NOT MATCHED THEN INSERT (
  sensor_id, quantity, window_size, window_period, window_start, window_end,
  count, mean, min, max, stddev, revision, pane, emitted_at, run_id)
VALUES (
  fresh.owner, fresh.quantity, fresh.window_size, fresh.window_period, fresh.window_start,
  TIMESTAMP_ADD(fresh.window_start, INTERVAL fresh.window_size SECOND),
  fresh.readings, fresh.mean, fresh.min, fresh.max, fresh.stddev,
  fresh.revision, 'reconciled', @written_at, @run_id);

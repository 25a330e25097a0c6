"""What a run shows of a dataset of BigQuery when it is done: the newest hour, by SQL."""

from __future__ import annotations

from typing import Any

from connectors.bigquery.client import open_client
from connectors.bigquery.query import run as run_query
from connectors.bigquery.uri import parse
from pipelines.sensor_summary import SensorWindow, window_of

__all__ = ["newest_of_dataset"]

NEWEST_HOUR = """
WITH newest AS (
  SELECT
    MAX(IF(TIMESTAMP_ADD(hour, INTERVAL 1 HOUR) <= CURRENT_TIMESTAMP(), hour, NULL)) AS past,
    MAX(hour) AS latest
  FROM hourly_means
)
SELECT region, count, mean, min, max, mean_3h_before, UNIX_SECONDS(hour) AS hour
FROM hourly_means CROSS JOIN newest
WHERE hour = COALESCE(past, latest)
ORDER BY region_code, quantity
"""
NEWEST_WINDOW = """
WITH kind AS (
  SELECT window_size, window_period
  FROM sensor_means
  ORDER BY window_size, window_period
  LIMIT 1
),
of_kind AS (
  SELECT means.*
  FROM sensor_means AS means
  JOIN kind
    ON means.window_size = kind.window_size AND means.window_period = kind.window_period
),
newest AS (
  SELECT
    MAX(IF(window_end <= CURRENT_TIMESTAMP(), window_start, NULL)) AS past,
    MAX(window_start) AS latest
  FROM of_kind
)
SELECT
  sensor_id, quantity, count, mean, min, max, stddev, UNIX_SECONDS(window_start) AS start,
  window_size, COUNT(*) OVER () AS total
FROM of_kind CROSS JOIN newest
WHERE window_start = COALESCE(past, latest)
ORDER BY sensor_id, quantity
LIMIT 20
"""


def newest_of_dataset(uri: str) -> tuple[list[dict[str, Any]], SensorWindow | None]:
    """The means of the newest hour that is over, and the newest window of sensors.

    Args:
        uri: `bigquery://PROJECT.DATASET`.

    Raises:
        OutputError: the dataset cannot be asked.
    """
    dataset = parse(uri)
    client = open_client(dataset.project)

    def ask(query: str) -> list[dict[str, Any]]:
        job = run_query(client, dataset, query, {}, f"{dataset.uri} cannot be asked")
        return [dict(row.items()) for row in job.result()]

    return ask(NEWEST_HOUR), window_of(ask(NEWEST_WINDOW))

"""The table `regions`: the boundaries that readings are placed by, as BigQuery's GEOGRAPHY.

The edges of the boundaries are straight lines of longitude and latitude, as `geo` takes them; those
of a GEOGRAPHY are the shortest lines on the globe. Edges of at most `EDGE` degrees differ by less
than half a metre, so longer ones are cut up.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING

from connectors.bigquery.client import TIMEOUT, explained, retry
from connectors.bigquery.uri import Dataset
from geo.boundaries import read_geojson
from geo.index import REGIONS

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["boundaries", "fill_regions", "regions_are_filled"]

LABEL = "boundaries"
"""The label that says which boundaries the table holds."""

EDGE = 0.05
SECONDS = 300.0
MERGE = """\
MERGE `{table}` AS old
USING (
  SELECT
    given.code, given.name,
    ST_GEOGFROMTEXT(given.boundary, make_valid => TRUE) AS boundary
  FROM UNNEST(@regions) AS given
) AS fresh
ON old.region_code = fresh.code
WHEN MATCHED THEN UPDATE SET region = fresh.name, boundary = fresh.boundary
WHEN NOT MATCHED THEN INSERT (region_code, region, boundary)
  VALUES (fresh.code, fresh.name, fresh.boundary)
WHEN NOT MATCHED BY SOURCE THEN DELETE
"""


@cache
def boundaries() -> tuple[tuple[str, str, str], ...]:
    """Code, name and boundary (WKT, WGS 84 degrees) of each region, by code."""
    import shapely  # noqa: PLC0415 - a third of a second that other commands do not need

    def _wkt(boundary: shapely.MultiPolygon) -> str:
        return shapely.to_wkt(boundary, rounding_precision=7)

    parts = read_geojson(REGIONS, "code", "name")
    return tuple(
        (code, name, _wkt(shapely.segmentize(shapely.MultiPolygon(polygons), EDGE)))
        for code, name, polygons in sorted(parts, key=lambda part: part[0])
    )


def regions_are_filled(client: bigquery.Client, dataset: Dataset) -> bool:
    """Whether the table exists and holds these boundaries.

    Raises:
        OutputError: BigQuery cannot be asked.
    """
    from google.api_core.exceptions import NotFound  # noqa: PLC0415

    with explained(f"cannot look at {dataset.table('regions')}"):
        try:
            table = client.get_table(dataset.table("regions"), retry=retry(), timeout=TIMEOUT)
        except NotFound:
            return False
    return table.labels.get(LABEL) == _digest()


def fill_regions(client: bigquery.Client, dataset: Dataset) -> None:
    """Writes the boundaries into the table, which must exist; replaces what it holds.

    Raises:
        OutputError: BigQuery refuses.
    """
    from google.cloud import bigquery  # noqa: PLC0415

    rows = [
        bigquery.StructQueryParameter(
            None,
            bigquery.ScalarQueryParameter("code", "STRING", code),
            bigquery.ScalarQueryParameter("name", "STRING", name),
            bigquery.ScalarQueryParameter("boundary", "STRING", boundary),
        )
        for code, name, boundary in boundaries()
    ]
    path = dataset.table("regions")
    config = bigquery.QueryJobConfig(
        query_parameters=[bigquery.ArrayQueryParameter("regions", "STRUCT", rows)]
    )
    with explained(f"cannot fill {path}"):
        job = client.query(
            MERGE.format(table=path), config, retry=retry(), job_retry=None, timeout=TIMEOUT
        )
        job.result(timeout=SECONDS, retry=retry())
        table = client.get_table(path, retry=retry(), timeout=TIMEOUT)
        table.labels = {**table.labels, LABEL: _digest()}
        client.update_table(table, ["labels"], retry=retry(), timeout=TIMEOUT)


def _digest() -> str:
    return hashlib.sha256(repr(boundaries()).encode()).hexdigest()[:16]

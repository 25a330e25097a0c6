"""How each table lies in BigQuery: its partitions, its clusters, its key.

All are partitioned by day. A table may have 10,000 partitions and a load job may touch 4,000 of
them: ten years are 3,653 days, but 87,672 hours. By month they would be fewer, but a query for one
day would then read a month, and what is old could only be dropped month by month.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.tables import bigquery_schema

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["CURRENT", "LAYOUTS", "Layout", "schema_fields", "table_of"]

CURRENT = "regional_means_current"
"""Filled by change data capture only: one row a window, replaced in place."""

WINDOW = ("quantity", "window_size", "window_period", "window_start")


@dataclass(frozen=True)
class Layout:
    """How a table lies in BigQuery.

    Attributes:
        name: of the table.
        schema: of which table in `schemas/bigquery` it has the columns.
        description: a sentence on the table.
        partitioned_by: the TIMESTAMP column whose day, in UTC, is a row's partition; None for a
            table without partitions. Rows where it is NULL have a partition of their own.
        clustered_by: the columns that its rows are sorted by.
        primary_key: the columns that tell its rows apart, where rows are replaced in place.
    """

    name: str
    schema: str
    description: str
    partitioned_by: str | None = None
    clustered_by: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            "readings",
            "readings",
            "The archive: every accepted version of every reading. A retry may repeat rows; the "
            "view latest_readings shows each reading once.",
            "event_time",
            ("region_code", "quantity", "sensor_id"),
        ),
        Layout(
            "regional_means_revisions",
            "regional_means_revisions",
            "Every row of a region and window that a run or reconciliation wrote; the views show "
            "the newest of each window.",
            "window_start",
            ("region_code", "quantity", "window_size", "window_period"),
        ),
        Layout(
            "sensor_means_revisions",
            "sensor_means_revisions",
            "Every row of a sensor and window that a run or reconciliation wrote; sensor_means "
            "shows the newest of each window.",
            "window_start",
            ("sensor_id", "quantity", "window_size", "window_period"),
        ),
        Layout(
            "rejected_readings",
            "rejected_readings",
            "Each record that is not a reading, or came too late.",
            "rejected_at",
            ("reason",),
        ),
        Layout(
            "replayed_records",
            "replayed_records",
            "Rejected records that were sent again; the view open_rejections leaves them out.",
            "replayed_at",
        ),
        Layout(
            "failed_rows",
            "failed_rows",
            "Rows that BigQuery refused for good, with the reason.",
            "failed_at",
            ("table_name",),
        ),
        Layout(
            "regions",
            "regions",
            "The boundaries that readings are placed by.",
            clustered_by=("region_code",),
        ),
        Layout(
            CURRENT,
            "regional_means_revisions",
            "The newest row of each region and window, where a run writes by change data capture.",
            "window_start",
            ("region_code", "quantity", "window_size", "window_period"),
            ("region_code", *WINDOW),
        ),
    )
}
"""All tables by name."""


def schema_fields(name: str) -> list[bigquery.SchemaField]:
    """The columns of a table, each with its description, as Google's client takes them."""
    from google.cloud import bigquery  # noqa: PLC0415  (takes long to import)

    return [
        bigquery.SchemaField.from_api_repr(dict(column))
        for column in bigquery_schema(LAYOUTS[name].schema)
    ]


def table_of(path: str) -> bigquery.Table:
    """A table as it is to be created.

    Args:
        path: `project.dataset.table`, the last of it one of `LAYOUTS`.
    """
    from google.cloud import bigquery  # noqa: PLC0415
    from google.cloud.bigquery.table import (  # noqa: PLC0415
        PrimaryKey,
        TableConstraints,
        TimePartitioning,
        TimePartitioningType,
    )

    layout = LAYOUTS[path.rpartition(".")[2]]
    table = bigquery.Table(path, schema_fields(layout.name))
    table.description = layout.description
    if layout.partitioned_by:
        table.time_partitioning = TimePartitioning(
            type_=TimePartitioningType.DAY, field=layout.partitioned_by
        )
    if layout.clustered_by:
        table.clustering_fields = list(layout.clustered_by)
    if layout.primary_key:
        table.table_constraints = TableConstraints(PrimaryKey(list(layout.primary_key)), None)
    return table

"""Runs `sql/reconcile.sql`: recomputes windows from the archive and corrects those that differ."""

from __future__ import annotations

import datetime
import time
import uuid
from typing import TYPE_CHECKING

import pyarrow as pa

import sql
from connectors.bigquery.labels import ARCHIVE, NO_ARCHIVE, labels_of
from connectors.bigquery.labels import GROUPING as GROUPING_LABEL
from connectors.bigquery.query import Parameters, run
from connectors.bigquery.uri import Dataset
from connectors.local_store.differences import Differences
from connectors.local_store.reconcile import Reconciled
from connectors.output_error import OutputError
from schemas.groupings import BOTH, REGION, SENSOR

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["grouping_of", "reconcile_dataset"]

SECONDS = 3600.0
"""How long one statement may take."""

GROUPING = """\
SELECT
  EXISTS (SELECT 1 FROM regional_means_revisions) AS regions,
  EXISTS (
    SELECT 1
    FROM sensor_means_revisions AS means
    JOIN readings ON readings.sensor_id = means.sensor_id
    WHERE readings.region_code IS NOT NULL) AS sensors
"""

MEANS, SENSORS = "regional_means_revisions", "sensor_means_revisions"
KEY = "quantity, window_size, window_period, window_start"
STATISTICS = ("count", "mean", "min", "max", "stddev")
SPAN = """\
WHERE window_start >= IFNULL(@first, TIMESTAMP '0001-01-02 00:00:00+00')
  AND window_start < IFNULL(@last, TIMESTAMP '9998-12-31 00:00:00+00')"""


def grouping_of(client: bigquery.Client, dataset: Dataset) -> str:
    """How the runs grouped that filled a dataset, as far as its rows tell.

    Sensors that had means of their own before anybody knew their place look like means by sensor:
    whoever knows how runs grouped should say so.

    Returns:
        One of `schemas.groupings.GROUPINGS`.

    Raises:
        OutputError: BigQuery cannot be asked.
    """
    job = run(client, dataset, GROUPING, {}, f"cannot look at {dataset.uri}")
    ((regions, sensors),) = (tuple(row.values()) for row in job.result())
    return REGION if not sensors else BOTH if regions else SENSOR


def reconcile_dataset(
    client: bigquery.Client,
    dataset: Dataset,
    first: datetime.datetime | None = None,
    last: datetime.datetime | None = None,
    group_by: str | None = None,
    *,
    report: bool = True,
) -> Reconciled:
    """Recomputes the windows that begin in a span of time, and appends those that differ.

    Args:
        client: of the dataset's project.
        dataset: where the tables are.
        first: start of the first window; None for the earliest.
        last: where the span ends: windows that begin then are left out; None for the latest.
        group_by: how runs group; None for what the dataset remembers, else `grouping_of` finds.
        report: ask for the rows that differed and the number of windows; without, they are none.

    Returns:
        What was found; `run_id` is None where nothing differed.

    Raises:
        OutputError: BigQuery refuses, or the runs kept no archive.
    """
    began = time.monotonic()
    labels = labels_of(client, dataset)
    if labels.get(ARCHIVE) == NO_ARCHIVE:
        msg = f"the means in {dataset.uri} cannot be recomputed: their run had --archive none"
        raise OutputError(msg)
    group_by = group_by or labels.get(GROUPING_LABEL) or grouping_of(client, dataset)
    run_id = f"reconcile-{uuid.uuid4().hex[:12]}"
    span: Parameters = {"first": ("TIMESTAMP", first), "last": ("TIMESTAMP", last)}
    given: Parameters = {
        **span,
        "group_by": ("STRING", group_by),
        "run_id": ("STRING", run_id),
        "written_at": ("TIMESTAMP", datetime.datetime.now(datetime.UTC)),
    }
    written = 0
    for statement in sql.reconcile():
        what = f"the means of {dataset.uri} cannot be reconciled"
        written += run(client, dataset, statement, given, what, SECONDS).num_dml_affected_rows or 0
    return Reconciled(
        run_id if written else None,
        _differences(client, dataset, {**span, "run_id": given["run_id"]})
        if written and report
        else Differences().table(),
        [],
        _windows(client, dataset, span) if report else 0,
        0,
        time.monotonic() - began,
    )


def _differences(client: bigquery.Client, dataset: Dataset, parameters: Parameters) -> pa.Table:
    """The rows that a run wrote beside those that they replaced."""
    count, *others = STATISTICS
    statistics = ",\n  ".join(
        [
            f"IFNULL(LAG({count}) OVER newest, 0) AS {count}_before, {count} AS {count}_after",
            *(
                f"LAG({name}) OVER newest AS {name}_before, {name} AS {name}_after"
                for name in others
            ),
        ]
    )
    none = "CAST(NULL AS STRING) AS"
    parts = [
        f"SELECT {series}, {KEY},\n  {statistics}, run_id\nFROM {table}\n{SPAN}\n"
        f"WINDOW newest AS (PARTITION BY {owner}, {KEY} ORDER BY revision, emitted_at, run_id)"
        for table, owner, series in (
            (MEANS, "region_code", f"region_code, region, {none} sensor_id"),
            (SENSORS, "sensor_id", f"{none} region_code, {none} region, sensor_id"),
        )
    ]
    both = "\nUNION ALL\n".join(f"SELECT * FROM ({part})" for part in parts)  # noqa: S608
    query = (
        f"SELECT * EXCEPT (run_id) FROM (\n{both})\n"  # noqa: S608
        f"WHERE run_id = @run_id\nORDER BY window_start, {KEY}, region_code, sensor_id"
    )
    job = run(client, dataset, query, parameters, f"cannot read what was written to {dataset.uri}")
    return job.result().to_arrow(create_bqstorage_client=False)


def _windows(client: bigquery.Client, dataset: Dataset, span: Parameters) -> int:
    """How many windows there are in a span."""
    parts = [
        f"SELECT COUNT(*) AS windows FROM (SELECT DISTINCT {owner}, {KEY} FROM {table}\n{SPAN})"  # noqa: S608
        for table, owner in ((MEANS, "region_code"), (SENSORS, "sensor_id"))
    ]
    query = "SELECT SUM(windows) FROM (" + "\nUNION ALL\n".join(parts) + ")"  # noqa: S608
    job = run(client, dataset, query, span, f"cannot look at {dataset.uri}")
    ((number,),) = (tuple(row.values()) for row in job.result())
    return int(number)

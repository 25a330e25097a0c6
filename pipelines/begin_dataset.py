"""How a run into a dataset of BigQuery begins: the tables are there, and other runs fit to it."""

from __future__ import annotations

import datetime
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from connectors.bigquery.client import open_client
from connectors.bigquery.labels import ARCHIVE, GROUPING, NO_ARCHIVE, remember_runs
from connectors.bigquery.options import UPSERTS
from connectors.bigquery.query import run as run_query
from connectors.bigquery.tables import CURRENT
from connectors.bigquery.tables_there import check_tables
from connectors.bigquery.uri import Dataset, parse
from connectors.local_rows import Run
from connectors.output_error import OutputError
from pipelines.job import Job
from schemas.groupings import REGION, SENSOR
from schemas.series import TABLE_OF
from transforms.windows import SlidingWindow

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["begin_dataset_run"]

WRITTEN = ("readings", "rejected_readings", "failed_rows", TABLE_OF[REGION], TABLE_OF[SENSOR])


def begin_dataset_run(job: Job, inputs: Sequence[str]) -> tuple[Job, Run]:
    """Makes sure that a run can write to its dataset.

    Args:
        job: what is to be done.
        inputs: what is read, as the user named it.

    Returns:
        The job, which computes the windows that the dataset holds already for the new readings,
        too; and the run.

    Raises:
        OutputError: a table is not there, the dataset's means are grouped otherwise, or there are
            means already and the job, or the one that they are of, keeps no archive.
    """
    dataset = parse(job.output)
    client = open_client(dataset.project)
    upserts = job.bigquery is not None and job.bigquery.method == UPSERTS
    check_tables(client, dataset, (*WRITTEN, CURRENT) if upserts else WRITTEN)
    families = _families(client, dataset)
    if families and not job.archive:
        msg = (
            f"{dataset.uri} holds means already: with --archive none nothing could add this run's "
            "readings to them; leave it out, or name another dataset"
        )
        raise OutputError(msg)
    wanted = {GROUPING: job.group_by, ARCHIVE: "on" if job.archive else NO_ARCHIVE}
    remember_runs(client, dataset, wanted, is_new=not families)
    job = job.with_windows(families)
    run = Run(
        run_id=uuid.uuid4().hex,
        revision=time.time_ns() // 1000,
        started_at=datetime.datetime.now(datetime.UTC),
        inputs=tuple(inputs),
        windows=tuple((window.size, window.period) for window in job.windows),
        group_by=job.group_by,
    )
    return job, run


def _families(client: bigquery.Client, dataset: Dataset) -> list[SlidingWindow]:
    """All windows that have means in the dataset."""
    query = "\nUNION DISTINCT\n".join(
        f"SELECT window_size, window_period FROM {table}"  # noqa: S608 - our names
        for table in TABLE_OF.values()
    )
    rows = list(run_query(client, dataset, query, {}, f"{dataset.uri} cannot be asked").result())
    return [
        SlidingWindow(row["window_size"], row["window_period"]) for row in sorted(rows, key=tuple)
    ]

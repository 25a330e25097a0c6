"""Queries of a dataset whose tables are named without it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.bigquery.client import TIMEOUT, explained, retry
from connectors.bigquery.uri import Dataset
from connectors.output_error import OutputError

if TYPE_CHECKING:
    from google.cloud import bigquery

__all__ = ["Parameters", "ask", "run"]

Parameters = Mapping[str, tuple[str, str | int | datetime.datetime | None]]
"""Query parameters: BigQuery's type and the value, by name."""

SECONDS = 600.0


def ask(client: bigquery.Client, dataset: Dataset, query: str) -> pa.Table:
    """The answer to a query that only reads.

    Args:
        client: of the dataset's project.
        dataset: where tables and views are that the query names without a dataset.
        query: one SELECT.

    Raises:
        OutputError: the query is wrong or does more than read, or BigQuery cannot answer.
    """
    from google.cloud import bigquery  # noqa: PLC0415

    config = bigquery.QueryJobConfig(
        default_dataset=dataset.path, dry_run=True, use_query_cache=False
    )
    with explained("BigQuery cannot answer the query"):
        tried = client.query(query, config, retry=retry(), job_retry=None, timeout=TIMEOUT)
    if tried.statement_type not in {None, "SELECT"}:
        msg = f"this is a {tried.statement_type} statement, and only a SELECT is answered here"
        raise OutputError(msg)
    job = run(client, dataset, query, {}, "BigQuery cannot answer the query")
    with explained("the answer cannot be read"):
        rows = job.result(retry=retry(), timeout=TIMEOUT)
        return rows.to_arrow(create_bqstorage_client=False)


def run(
    client: bigquery.Client,
    dataset: Dataset,
    statement: str,
    parameters: Parameters,
    what: str,
    seconds: float = SECONDS,
) -> bigquery.QueryJob:
    """Runs a statement and waits for its end; where it is interrupted the job is cancelled.

    Args:
        client: of the dataset's project.
        dataset: where tables are that the statement names without a dataset.
        statement: BigQuery SQL.
        parameters: those that it has.
        what: says what is not possible where it fails.
        seconds: how long it may take.

    Raises:
        OutputError: it failed, or took longer.
    """
    from google.cloud import bigquery  # noqa: PLC0415

    config = bigquery.QueryJobConfig(
        default_dataset=dataset.path,
        query_parameters=[
            bigquery.ScalarQueryParameter(name, kind, value)
            for name, (kind, value) in parameters.items()
        ],
    )
    with explained(what):
        job = client.query(statement, config, retry=retry(), job_retry=None, timeout=TIMEOUT)
        try:
            job.result(retry=retry(), timeout=seconds)
        except (KeyboardInterrupt, FutureTimeoutError) as error:
            job.cancel(retry=retry(), timeout=TIMEOUT)
            if isinstance(error, KeyboardInterrupt):
                raise
            msg = f"{what}: it was cancelled after {seconds:,.0f} s"
            raise OutputError(msg) from error
    return job

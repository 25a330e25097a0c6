"""Remembers which rejected records have been sent again: rows of `replayed_records`."""

from __future__ import annotations

import datetime
import io
import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.dead_letters.letter import Letter
from connectors.local_store import LocalStore, RunRecord
from schemas.tables import arrow_schema, bigquery_schema

__all__ = ["mark_in_bigquery", "mark_in_store"]

TABLE = "replayed_records"
KIND = "replay"
"""The kind of such runs in the manifest of a store."""


def mark_in_store(store: LocalStore, letters: Sequence[Letter], destination: str) -> None:
    """Marks rows of `rejected_readings` of a local store as sent again.

    Args:
        store: the store.
        letters: the rows.
        destination: where they were sent.

    Raises:
        StoreError: the store cannot be written.
    """
    now, run_id = datetime.datetime.now(datetime.UTC), uuid.uuid4().hex
    rows = _rows(letters, destination, now, run_id)
    table = pa.Table.from_pylist(rows, schema=arrow_schema(TABLE))
    file = store.write(TABLE, table)
    manifest, moment = store.manifest(), now.isoformat()
    run = RunRecord(
        run_id,
        store.next_revision(),
        moment,
        moment,
        counts={TABLE: len(rows)},
        kind=KIND,
        group_by=manifest.group_by,
    )
    store.commit(run, [file])


def mark_in_bigquery(uri: str, letters: Sequence[Letter], destination: str) -> None:
    """Marks rows of `rejected_readings` of a dataset as sent again, by a load job.

    Args:
        uri: `bigquery://PROJECT.DATASET`.
        letters: the rows.
        destination: where they were sent.

    Raises:
        OutputError: they cannot be marked.
    """
    from google.cloud import bigquery  # noqa: PLC0415 - a second

    from connectors.bigquery.client import TIMEOUT, explained, open_client  # noqa: PLC0415
    from connectors.bigquery.uri import parse  # noqa: PLC0415

    dataset, now = parse(uri), datetime.datetime.now(datetime.UTC)
    client, file = open_client(dataset.project), io.BytesIO()
    rows = _rows(letters, destination, now, uuid.uuid4().hex)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(TABLE)), file)
    file.seek(0)
    settings = bigquery.LoadJobConfig(
        source_format="PARQUET",
        schema=[bigquery.SchemaField.from_api_repr(each) for each in bigquery_schema(TABLE)],
        write_disposition="WRITE_APPEND",
        create_disposition="CREATE_NEVER",
    )
    with explained(f"what was sent again cannot be marked in {dataset.uri}"):
        client.load_table_from_file(
            file, dataset.table(TABLE), job_config=settings, timeout=TIMEOUT
        ).result(timeout=10 * TIMEOUT)


def _rows(
    letters: Sequence[Letter], destination: str, now: datetime.datetime, run_id: str
) -> list[dict[str, Any]]:
    return [
        {
            "source": letter.source,
            "raw_sha256": letter.raw_sha256,
            "destination": destination,
            "replayed_at": now,
            "run_id": run_id,
        }
        for letter in letters
    ]

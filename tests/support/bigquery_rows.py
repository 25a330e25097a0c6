"""Rows of BigQuery's tables for tests, datasets to write them to, and what is there then."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
from google.api_core.exceptions import BadRequest

from connectors.bigquery.client import open_client
from connectors.bigquery.migrate import migrate
from connectors.bigquery.tables import table_of
from connectors.bigquery.uri import Dataset, parse
from connectors.local_rows import Run
from schemas.reading import MEANS
from schemas.tables import arrow_schema
from tests.support.bigquery_emulator import BigQueryEmulator
from tests.support.jobs import OF_THE_RUN

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
RUN = Run("a-run", 1, NOW, ("a file",))


def new_dataset(emulator: BigQueryEmulator, *tables: str) -> Dataset:
    """A dataset with these tables, which takes less time, or with all tables and views."""
    dataset = parse(emulator.new_dataset())
    client = open_client(dataset.project)
    if not tables:
        migrate(client, dataset)
    for name in tables:
        client.create_table(table_of(dataset.table(name)), timeout=60)
    return dataset


def rejected(numbers: range, **more: Any) -> pa.RecordBatch:
    """Rows of `rejected_readings`, told apart by their source."""
    rows = [
        {
            "reason": "not_json",
            "detail": "the record is not JSON",
            "raw": '{"é": \u0001',
            "raw_size": 9,
            "raw_sha256": None,
            "source": f"file#byte={number}",
            "rejected_at": NOW,
            "run_id": RUN.run_id,
            **more,
        }
        for number in numbers
    ]
    return rows_of("rejected_readings", rows)


def mean(**more: Any) -> dict[str, Any]:
    """A row of means as the pipeline gives it."""
    row = {
        "region_code": "11",
        "region": "Île-de-France",
        "sensor_id": None,
        "quantity": "temperature",
        "window_start": NOW,
        "window_end": NOW + datetime.timedelta(hours=1),
        "window_size": 3600,
        "window_period": 3600,
        "count": 1,
        "mean": 1.0,
        "min": 1.0,
        "max": 1.0,
        "stddev": None,
        "pane": "on_time",
    }
    return {**row, **more}


def means(*rows: dict[str, Any]) -> pa.RecordBatch:
    """A batch of such rows."""
    fields = [pa.field(field.name, field.type) for field in MEANS]
    return pa.RecordBatch.from_pylist(list(rows), schema=pa.schema(fields))


def rows_of(table: str, rows: list[dict[str, Any]]) -> pa.RecordBatch:
    """Rows of a table, whose columns may be NULL."""
    fields = [pa.field(field.name, field.type) for field in arrow_schema(table)]
    return pa.RecordBatch.from_pylist(rows, schema=pa.schema(fields))


def asked(dataset: Dataset, query: str) -> list[tuple[Any, ...]]:
    """The answer to a query in which `{d}` stands for the dataset."""
    return [tuple(row.values()) for row in asked_rows(dataset, query)]


def sources(dataset: Dataset) -> list[str]:
    """The sources in `rejected_readings`, sorted."""
    return sorted(
        source for (source,) in asked(dataset, "SELECT source FROM `{d}.rejected_readings`")
    )


def views_of(dataset: Dataset, *views: str) -> dict[str, list[str]]:
    """All rows of views, sorted, as `tests.support.jobs.rows_of` gives those of a local store."""
    found = {}
    for view in views:
        rows = asked_rows(dataset, f"SELECT * FROM `{{d}}.{view}`")
        found[view] = sorted(
            repr({name: _plain(value) for name, value in row.items() if name not in OF_THE_RUN})
            for row in rows
        )
    return found


def asked_rows(dataset: Dataset, query: str) -> list[dict[str, Any]]:
    """The answer to a query, as dictionaries."""
    client = open_client(dataset.project)
    while True:
        try:
            found = client.query(query.format(d=dataset.path)).result()
        except BadRequest as error:
            # The emulator cannot be asked while somebody writes.
            if "closed pending query" not in str(error):
                raise
        else:
            return [dict(row.items()) for row in found]


def _plain(value: Any) -> Any:
    """Moments as microseconds since the epoch."""
    if isinstance(value, datetime.datetime):
        return (value - EPOCH) // datetime.timedelta(microseconds=1)
    return value

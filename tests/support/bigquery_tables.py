"""Datasets for tests: filled from a local store, and asked beside it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from connectors.bigquery.migrate import migrate
from connectors.bigquery.uri import Dataset, parse
from connectors.local_store import LocalStore
from schemas.tables import TABLES, arrow_schema
from tests.support.bigquery_emulator import BigQueryEmulator

__all__ = ["fill_from_store", "load", "new_tables", "rows"]


def new_tables(emulator: BigQueryEmulator) -> Dataset:
    """A new dataset with all tables and views."""
    dataset = parse(emulator.new_dataset())
    migrate(emulator.client, dataset)
    return dataset


def load(client: bigquery.Client, dataset: Dataset, table: str, found: pa.Table) -> None:
    """Appends rows to a table by a load job."""
    if not found.num_rows:
        return
    file = io.BytesIO()
    pq.write_table(found.cast(arrow_schema(table)), file)
    file.seek(0)
    config = bigquery.LoadJobConfig(
        source_format="PARQUET",
        write_disposition="WRITE_APPEND",
        schema=client.get_table(dataset.table(table)).schema,
    )
    # Without a size the client sends it in pieces, which the emulator understands.
    client.load_table_from_file(file, dataset.table(table), job_config=config).result(timeout=60)


def fill_from_store(
    client: bigquery.Client, dataset: Dataset, store: Path, tables: tuple[str, ...] = TABLES
) -> None:
    """Appends all rows of a local store to a dataset."""
    with LocalStore(store).connect() as connection:
        for table in tables:
            load(client, dataset, table, connection.table(table).to_arrow_table())


def rows(client: bigquery.Client, dataset: Dataset, query: str, **config: Any) -> list[tuple]:
    """The rows of a query, its tables named without the dataset."""
    settings = bigquery.QueryJobConfig(default_dataset=dataset.path, **config)
    return [tuple(row.values()) for row in client.query(query, settings).result(timeout=60)]

"""Dead letters of tables: of a local store, and of BigQuery."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from connectors.dead_letters.letter import Letter, Selection, moment_of
from connectors.local_store import LocalStore, StoreError
from connectors.local_store.manifest import MANIFEST

__all__ = ["letters_of_bigquery", "letters_of_store"]

COLUMNS = "reason, raw, raw_size, raw_sha256, source, rejected_at"
ROWS = 2048
"""Rows at a time: each may hold 64 KiB."""


def letters_of_store(store: LocalStore, selection: Selection) -> Iterator[list[Letter]]:
    """Dead letters of a local store, as it is when the first are asked for.

    Args:
        store: the store.
        selection: which are wanted.

    Yields:
        Some letters at a time.

    Raises:
        StoreError: the store cannot be read.
    """
    if not (store.folder / MANIFEST).exists():
        msg = f"there are no results in {store.folder}, so no rejected records either"
        raise StoreError(msg)
    with store.connect() as connection:
        rows = connection.sql(_query(_view(selection))).to_arrow_reader(ROWS)
        for batch in rows:
            yield _letters([batch], selection)


def letters_of_bigquery(uri: str, selection: Selection) -> Iterator[list[Letter]]:
    """Dead letters of a dataset.

    Args:
        uri: `bigquery://PROJECT.DATASET`.
        selection: which are wanted.

    Yields:
        Some letters at a time.

    Raises:
        OutputError: the dataset cannot be asked.
    """
    from connectors.bigquery.client import TIMEOUT, explained, open_client, retry  # noqa: PLC0415
    from connectors.bigquery.uri import parse  # noqa: PLC0415

    dataset = parse(uri)
    client = open_client(dataset.project)
    query = _query(f"`{dataset.table(_view(selection))}`")
    with explained(f"the rejected records of {dataset.uri} cannot be read"):
        job = client.query(query, retry=retry(), job_retry=None, timeout=TIMEOUT)
        for page in job.result(page_size=ROWS, retry=retry(), timeout=TIMEOUT).pages:
            yield _of_rows(page, selection)


def _view(selection: Selection) -> str:
    return "rejected_readings" if selection.again else "open_rejections"


def _query(table: str) -> str:
    return f"SELECT {COLUMNS} FROM {table} ORDER BY source, raw_sha256"  # noqa: S608 - our names


def _letters(batches: Iterable[pa.RecordBatch], selection: Selection) -> list[Letter]:
    found = []
    for batch in batches:
        place = batch.schema.get_field_index("rejected_at")
        times = batch.column(place).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
        columns = [column.to_pylist() for column in batch.columns]
        columns[place] = times.to_pylist()
        found += [Letter(*row) for row in zip(*columns, strict=True)]
    return [letter for letter in found if selection.wants(letter)]


def _of_rows(rows: Iterable[Any], selection: Selection) -> list[Letter]:
    found = [
        Letter(
            row["reason"],
            row["raw"],
            row["raw_size"],
            row["raw_sha256"],
            row["source"],
            moment_of(row["rejected_at"]),
        )
        for row in rows
    ]
    return [letter for letter in found if selection.wants(letter)]

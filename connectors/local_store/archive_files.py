"""How a file of the archive is laid out."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.local_store.content_files import new_file
from connectors.local_store.records import StoredFile
from schemas.tables import arrow_schema

__all__ = ["GROUP_ROWS", "SCHEMA", "TABLE", "TEXTS", "joined", "row_groups", "write_archive"]

TABLE = "readings"
GROUP_ROWS = 131_072
TEXTS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    field.with_type(TEXTS) if pa.types.is_string(field.type) and field.name != "id" else field
    for field in arrow_schema(TABLE)
)
"""The table's columns as they are held: texts that repeat are dictionaries."""

LAYOUT: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": [field.name for field in SCHEMA if field.type == TEXTS],
    "column_encoding": {
        "id": "DELTA_LENGTH_BYTE_ARRAY",
        "event_time": "DELTA_BINARY_PACKED",
        "version": "DELTA_BINARY_PACKED",
        "arrived_at": "DELTA_BINARY_PACKED",
        "ingested_at": "DELTA_BINARY_PACKED",
    },
    "write_statistics": ["event_time"],
    "store_schema": False,
}


def write_archive(folder: Path, batches: Iterable[pa.RecordBatch], partition: str) -> StoredFile:
    """Writes rows of the archive to a file named by its content.

    Numbers get no dictionary: where they repeat, zstd finds it as well, and where they do not, it
    is built in vain (40 ns a number). Only the event time is worth statistics: of the other
    columns each row group holds all kinds of values.

    Args:
        folder: the store's folder.
        batches: of `SCHEMA`; each becomes a row group.
        partition: the folder within the table's.

    Raises:
        StoreError: the file cannot be written.
    """
    ends: list[int] = []

    def write(path: Path) -> int:
        rows = 0
        with path.open("wb") as file:
            with pq.ParquetWriter(file, SCHEMA, **LAYOUT) as writer:
                for batch in batches:
                    writer.write_batch(batch, row_group_size=GROUP_ROWS)
                    rows += batch.num_rows
                    times = pc.min_max(batch.column("event_time").view(pa.int64())).as_py()
                    ends.extend(end for end in times.values() if end is not None)
            file.flush()
            os.fsync(file.fileno())
        return rows

    file = new_file(folder, TABLE, write, partition=partition)
    if not ends:
        return file
    return dataclasses.replace(file, first=min(ends), last=max(ends))


def row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches as row groups of a file, each with one dictionary for a column."""
    pending: list[pa.RecordBatch] = []
    rows = 0
    for whole in batches:
        batch = whole
        while batch.num_rows:
            part = batch.slice(0, GROUP_ROWS - rows)
            pending.append(part)
            rows += part.num_rows
            batch = batch.slice(part.num_rows)
            if rows == GROUP_ROWS:
                yield joined(pending)
                pending, rows = [], 0
    if pending:
        yield joined(pending)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """All the batches as one, with one dictionary for a column."""
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    return table.to_batches()[0]

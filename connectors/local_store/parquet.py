"""Rows to a Parquet file whose bytes depend on the rows alone, not on how they were cut."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.local_store.errors import StoreError

__all__ = ["checked_batches", "write_parquet"]

MAX_GROUP_ROWS = 131_072
MAX_GROUP_TEXT = 64 << 20
"""Bytes of text after which a row group ends: bounds the memory of a reader and of the writer."""

# Text that may be as large as the input: zstd would take as long as parsing it.
QUICKLY_COMPRESSED = frozenset({"raw"})
UNREPEATED_COLUMNS = frozenset({"raw", "raw_sha256", "id", "source"})
"""Columns for which a dictionary is built in vain."""


def checked_batches(
    table: str, schema: pa.Schema, rows: pa.Table | pa.RecordBatch | Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yields the rows in batches that are known to fit the table.

    Args:
        table: name of the table, for the messages.
        schema: the table's columns.
        rows: a table, a batch or batches.

    Raises:
        StoreError: names or types of the columns differ from the table's, or a column that the
            table requires holds NULLs.
    """
    if isinstance(rows, pa.RecordBatch):
        rows = [rows]
    elif isinstance(rows, pa.Table):
        _check_schema(table, schema, rows.schema)
        rows = rows.to_batches()
    for batch in rows:
        _check_schema(table, schema, batch.schema)
        for field, column in zip(schema, batch.columns, strict=True):
            if column.null_count and not field.nullable:
                msg = (
                    f"column {field.name} of table {table} must not be NULL, "
                    f"but {column.null_count:,} of the rows to be written have none"
                )
                raise StoreError(msg)
        yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _check_schema(table: str, expected: pa.Schema, actual: pa.Schema) -> None:
    given = [(field.name, field.type) for field in actual]
    wanted = [(field.name, field.type) for field in expected]
    if given != wanted:

        def spelled(columns: list[tuple[str, pa.DataType]]) -> str:
            return ", ".join(f"{name} {kind}" for name, kind in columns) or "none"

        extra = [column for column in given if column not in wanted]
        missing = [column for column in wanted if column not in given]
        if extra or missing:
            difference = f"the rows have {spelled(extra)} where it has {spelled(missing)}"
        else:
            difference = f"the rows have the order {spelled(given)} where it has {spelled(wanted)}"
        msg = f"the columns of the rows are not those of table {table}: {difference}"
        raise StoreError(msg)


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Writes the batches to a new file and makes it durable.

    Args:
        path: the file; left away if the writing fails.
        schema: the columns of the batches.
        batches: the rows.

    Returns:
        The number of rows.
    """
    rows = 0
    try:
        with path.open("wb") as file:
            with pq.ParquetWriter(
                file,
                schema,
                compression={
                    name: "lz4" if name in QUICKLY_COMPRESSED else "zstd" for name in schema.names
                },
                compression_level={
                    name: 1 for name in schema.names if name not in QUICKLY_COMPRESSED
                },
                use_dictionary=[name for name in schema.names if name not in UNREPEATED_COLUMNS],
                # Nobody looks for a text by its bounds.
                write_statistics=[name for name in schema.names if name not in QUICKLY_COMPRESSED],
                store_schema=False,
            ) as writer:
                for group in _row_groups(batches):
                    writer.write_table(group, row_group_size=MAX_GROUP_ROWS)
                    rows += group.num_rows
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
    return rows


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cuts the rows anew, at places that only the rows decide."""
    pending: list[pa.RecordBatch] = []
    rows = text = 0
    for whole in batches:
        batch = whole
        text_ends = np.cumsum(_text_sizes(batch))
        start_text = 0
        while batch.num_rows:
            by_text = int(np.searchsorted(text_ends, start_text + MAX_GROUP_TEXT - text)) + 1
            cut = min(MAX_GROUP_ROWS - rows, by_text, batch.num_rows)
            pending.append(batch.slice(0, cut))
            rows += cut
            text += int(text_ends[cut - 1]) - start_text
            start_text = int(text_ends[cut - 1])
            if rows >= MAX_GROUP_ROWS or text >= MAX_GROUP_TEXT:
                yield _joined(pending)
                pending, rows, text = [], 0, 0
            batch, text_ends = batch.slice(cut), text_ends[cut:]
    if pending:
        yield _joined(pending)


def _text_sizes(batch: pa.RecordBatch) -> np.ndarray:
    """Bytes of text in each row."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_string(column.type):
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return sizes


def _joined(batches: list[pa.RecordBatch]) -> pa.Table:
    # One chunk a column: where chunks end, the writer may end a page.
    return pa.Table.from_batches(batches).combine_chunks()

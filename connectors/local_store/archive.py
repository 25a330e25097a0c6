"""The archive of readings: placed readings as rows of `readings`, in Parquet files by event date.

Its files lie in `readings/event_date=2019-02-19`; those of deletions, which have no event time,
in `event_date=none`. Readings of so many dates that files by date would be tiny share a file in
`event_date=several`, ordered by date; compaction deals them out.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.archive_files import SCHEMA, row_groups, write_archive
from connectors.local_store.dates import partition_of
from connectors.local_store.records import StoredFile
from connectors.local_store.rows_by_date import RowsByDate
from schemas.reading import PLACED_READINGS, VersionKind
from transforms.numbers import MICROS

__all__ = ["ArchiveWriter", "archive_rows"]

MOST_BYTES = 128 << 20
"""Bytes of readings that are held before they are written."""

HELD = [*PLACED_READINGS.names, "too_late"]
VERSION_KINDS = pa.array([kind.name.lower() for kind in VersionKind])


def archive_rows(
    batch: pa.RecordBatch, run_id: str, ingested_at: datetime.datetime
) -> pa.RecordBatch:
    """A batch of placed readings as rows of `readings`.

    Args:
        batch: of schema `PLACED_READINGS`; if there is a column `too_late`, it says which came
            too late.
        run_id: the run that read them.
        ingested_at: when it wrote them.

    Returns:
        A batch with the table's columns, of schema `archive_files.SCHEMA`.
    """
    count, held = batch.num_rows, _held(batch)
    kinds = np.asarray(batch.column("version_kind"))
    has_none = kinds == VersionKind.NONE
    columns: dict[str, pa.Array] = {
        "value": _values(batch.column("value_micros")),
        "version": pa.nulls(count, pa.int64())
        if has_none.all()
        else pa.array(np.asarray(batch.column("version")), mask=has_none),
        "version_kind": pa.DictionaryArray.from_arrays(kinds.astype(np.int32), VERSION_KINDS),
        "ingested_at": pa.repeat(pa.scalar(ingested_at, SCHEMA.field("ingested_at").type), count),
        "run_id": pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array([run_id])),
    }
    for name in SCHEMA.names:
        if name not in columns:
            columns[name] = held.column(name)
    return pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _values(micros: pa.Array) -> pa.Array:
    if micros.null_count:
        return pc.divide(micros.cast(pa.float64()), float(MICROS))
    return pa.array(np.asarray(micros) / MICROS)


class ArchiveWriter:
    """Takes placed readings and writes them to files of the archive, by event date.

    What it returns counts once `LocalStore.commit` has named it. It holds at most `MOST_BYTES` of
    readings and the batch that it was given last.

    Args:
        folder: the store's folder.
        run_id: the run that reads them.
    """

    def __init__(self, folder: str | Path, run_id: str) -> None:
        self._folder, self._run_id = Path(folder), run_id
        self._held = RowsByDate()

    def add(self, batch: pa.RecordBatch) -> list[StoredFile]:
        """Takes a batch of schema `PLACED_READINGS`, with or without a column `too_late`.

        Returns:
            The files that were written because enough is held; mostly none.

        Raises:
            StoreError: a file cannot be written.
        """
        if batch.num_rows == 0:
            return []
        self._held.add(_held(batch))
        return self.flush() if self._held.bytes >= MOST_BYTES else []

    def flush(self) -> list[StoredFile]:
        """Writes all that is held.

        Returns:
            The files.

        Raises:
            StoreError: a file cannot be written.
        """
        return [self._write(day, batches) for day, batches in self._held.take()]

    def _write(self, day: int, batches: list[pa.RecordBatch]) -> StoredFile:
        now = datetime.datetime.now(datetime.UTC)
        rows = (archive_rows(group, self._run_id, now) for group in row_groups(batches))
        return write_archive(self._folder, rows, partition_of(day))


def _held(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the columns of `HELD`."""
    columns = []
    for name in HELD:
        if name == "too_late" and name not in batch.schema.names:
            column = pa.array(np.zeros(batch.num_rows, bool))
        else:
            column = batch.column(name)
        if pa.types.is_dictionary(column.type):
            # Many batches together have more sources than 8 bits can number.
            indices = column.indices.cast(pa.int32())
            column = pa.DictionaryArray.from_arrays(indices, column.dictionary)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=HELD)

"""DoFns that write what comes to files of the local store; a commit makes the files count."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from connectors.local_rows import Run, ToTable
from connectors.local_store import LocalStore, StoredFile

__all__ = ["WriteEntries", "WriteRows"]

FILE_BYTES = 64 << 20
"""Bytes of rows that are held in memory before they become a file."""

FEW_ENTRIES = 1 << 17
"""Entries of a bundle up to which they become one file."""

MANY_ENTRIES = 1 << 20
"""Entries that are held in memory before they become files."""


class WriteRows(beam.DoFn):
    """Writes batches of a bundle to files of a table.

    Args:
        folder: the store's folder, which all workers must see.
        run: the run.
        table: the table.
        to_table: how a batch becomes rows.

    Raises:
        StoreError: from the pipeline, when a file cannot be written.
    """

    def __init__(self, folder: str, run: Run, table: str, to_table: ToTable) -> None:
        self._folder, self._run = folder, run
        self._table, self._to_table = table, to_table

    def start_bundle(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._bytes = 0

    def process(self, element: pa.RecordBatch) -> Iterator[StoredFile]:
        rows = self._to_table(element, self._run)
        if rows.num_rows:
            self._batches.append(rows)
            self._bytes += rows.nbytes
        if self._bytes >= FILE_BYTES:
            yield self._file()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._batches:
            yield _for_all_time(self._file())

    def _file(self) -> StoredFile:
        batches, self._batches, self._bytes = self._batches, [], 0
        store = LocalStore(self._folder)
        store.announce()
        return store.write(self._table, batches)


class WriteEntries(beam.DoFn):
    """Writes batches of entries of a bundle to files of the index.

    Elements in are batches of schema `schemas.entries.ENTRIES`. In a batch pipeline each holds the
    newest versions of all readings of a range of hashes, in their order; its files then follow
    each other.

    Args:
        folder: the store's folder, which all workers must see.
        run: the run.

    Raises:
        StoreError: from the pipeline, when a file cannot be written.
    """

    def __init__(self, folder: str, run: Run) -> None:
        self._folder, self._run = folder, run

    def start_bundle(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self._rows = 0

    def process(self, element: pa.RecordBatch) -> Iterator[StoredFile]:
        self._batches.append(element)
        self._rows += element.num_rows
        if self._rows >= MANY_ENTRIES:
            yield from self._files()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for file in self._files():
            yield _for_all_time(file)

    def _files(self) -> Iterator[StoredFile]:
        batches, self._batches = self._batches, []
        rows, self._rows = self._rows, 0
        store = LocalStore(self._folder)
        if rows:
            store.announce()
        for part in [batches] if rows <= FEW_ENTRIES else [[batch] for batch in batches]:
            yield from store.write_entries(part, self._run.run_id, self._run.group_by)


def _for_all_time(file: StoredFile) -> WindowedValue:
    return WindowedValue(file, GlobalWindow().max_timestamp(), (GlobalWindow(),))

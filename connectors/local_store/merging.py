"""Small files of a table to larger ones, a few at a time, so that memory is bounded."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.local_store.content_files import new_file
from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.means_files import MEANS
from connectors.local_store.means_merge import merge_files
from connectors.local_store.parquet import write_parquet
from connectors.local_store.records import StoredFile

__all__ = ["LARGE_BYTES", "Replacement", "merge_tables", "read_batches", "small_groups"]

LARGE_BYTES = 64 << 20
"""The most bytes that a merged file has; files of half of it are left as they are."""

LARGE_MEANS = 16 << 20
"""The same for means, whose rows are put in order in memory."""

BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Replacement:
    """Files that hold what others held.

    Attributes:
        replaced: the files that are needed no more.
        files: those in their place.
        removed: rows that are in none of them, being needed no more.
    """

    replaced: tuple[StoredFile, ...]
    files: tuple[StoredFile, ...]
    removed: int = 0


def small_groups(files: Sequence[StoredFile], large: int) -> Iterator[list[StoredFile]]:
    """Small files that are worth merging, at least two at a time, with at most `large` bytes."""
    group: list[StoredFile] = []
    size = 0
    for file in files:
        if file.bytes > large // 2:
            continue
        if size + file.bytes > large:
            if len(group) > 1:
                yield group
            group, size = [], 0
        group.append(file)
        size += file.bytes
    if len(group) > 1:
        yield group


def merge_tables(
    folder: Path, table: str, files: Sequence[StoredFile], alive: Collection[str]
) -> Iterator[Replacement]:
    """Merges the small files of a table, other than the archive.

    Args:
        folder: the store's folder.
        table: the table.
        files: its files, in the order of their commits.
        alive: streams that may commit again.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    if table == MEANS:
        for history in (False, True):
            alike = [file for file in files if file.history == history]
            for group in small_groups(alike, LARGE_MEANS):
                yield Replacement(tuple(group), tuple(merge_files(folder, group, alive)))
        return
    for group in small_groups(files, LARGE_BYTES):
        # Files of another version of the program may have other columns.
        schemas: dict[pa.Schema, list[StoredFile]] = {}
        for file in group:
            schema = _schema(folder, file)
            schemas.setdefault(schema, []).append(file)
        for schema, alike in schemas.items():
            if len(alike) > 1:
                yield Replacement(tuple(alike), (_merged(folder, table, schema, alike),))


def _merged(folder: Path, table: str, schema: pa.Schema, files: Sequence[StoredFile]) -> StoredFile:
    batches = (batch for file in files for batch in read_batches(folder, file))
    write = functools.partial(write_parquet, schema=schema, batches=batches)
    return new_file(folder, table, write)


def read_batches(
    folder: Path, file: StoredFile, dictionaries: Sequence[str] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows of a file, in their order.

    Args:
        folder: the store's folder.
        file: the file.
        dictionaries: the columns of texts that are to stay dictionaries.

    Raises:
        StoreError: the file is missing or damaged.
    """
    path = checked_path(folder, file)
    try:
        with pq.ParquetFile(path, read_dictionary=list(dictionaries)) as opened:
            # One row group at a time: they are cut so that each can be held.
            for group in range(opened.num_row_groups):
                yield from opened.iter_batches(BATCH_ROWS, [group], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _schema(folder: Path, file: StoredFile) -> pa.Schema:
    path = checked_path(folder, file)
    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} of the store is damaged: {error}; {REMEDY}")

"""Drops what is older than a time: readings, windows and rejected records.

The store remembers that time. A window that begins before it is never written again: a reading
which comes once more, or in a later version, would start a window anew that has lost the others.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.local_store.archive_entries import read_archive
from connectors.local_store.archive_merging import rewritten
from connectors.local_store.content_files import new_file
from connectors.local_store.dates import DELETIONS, day_of
from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.horizon import FOREVER
from connectors.local_store.means_files import read_file, write_means
from connectors.local_store.merging import Replacement, read_batches
from connectors.local_store.parquet import write_parquet
from connectors.local_store.records import StoredFile
from transforms.spans import Ints

__all__ = ["old_means", "old_readings", "old_rejected"]


def old_readings(folder: Path, files: Sequence[StoredFile], horizon: int) -> Iterator[Replacement]:
    """Drops readings with an event time before the horizon, but no deletions.

    Args:
        folder: the store's folder.
        files: the files of the archive.
        horizon: microseconds since the epoch, a midnight.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    for file in files:
        day = day_of(file.path)
        if day == DELETIONS or (file.first is not None and file.first >= horizon):
            continue
        if file.last is not None and file.last < horizon:
            yield Replacement((file,), (), file.rows)
            continue
        old = _old_rows(folder, file, horizon)
        if len(old):
            yield rewritten(folder, day, [file], {file: old})


def _old_rows(folder: Path, file: StoredFile, horizon: int) -> Ints:
    """Numbers of the rows with an event time before the horizon."""
    found, begin = [np.empty(0, np.int64)], 0
    for rows in read_archive(folder, file, ["event_time"]):
        times = rows.column("event_time").view(pa.int64())
        old = pc.less(times, horizon).fill_null(False).to_numpy(zero_copy_only=False)
        found.append(np.flatnonzero(old) + begin)
        begin += rows.num_rows
    return np.concatenate(found)


def old_means(folder: Path, files: Sequence[StoredFile], horizon: int) -> Iterator[Replacement]:
    """Drops all revisions of windows that begin before the horizon.

    Args:
        folder: the store's folder.
        files: the files of means.
        horizon: microseconds since the epoch.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    for file in files:
        if file.first is not None and file.first >= horizon:
            continue
        if file.last is not None and file.last < horizon:
            yield Replacement((file,), (), file.rows)
            continue
        rows = read_file(folder, file)
        starts = rows.column("window_start").cast(pa.int64())
        kept = rows.filter(pc.greater_equal(starts, horizon))
        removed = rows.num_rows - kept.num_rows
        if removed:
            yield Replacement((file,), (write_means(folder, kept, history=file.history),), removed)


def old_rejected(
    folder: Path, table: str, files: Sequence[StoredFile], horizon: int
) -> Iterator[Replacement]:
    """Drops records that were rejected before the horizon.

    Args:
        folder: the store's folder.
        table: the table of rejected records.
        files: its files.
        horizon: microseconds since the epoch.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    for file in files:
        schema, first, last = _rejected_from_to(checked_path(folder, file))
        if first >= horizon:
            continue
        if last < horizon:
            yield Replacement((file,), (), file.rows)
            continue
        batches = (_since(batch, horizon) for batch in read_batches(folder, file))
        write = functools.partial(write_parquet, schema=schema, batches=batches)
        kept = new_file(folder, table, write)
        yield Replacement((file,), (kept,), file.rows - kept.rows)


def _rejected_from_to(path: Path) -> tuple[pa.Schema, int, int]:
    """The columns of a file, and the least and the greatest `rejected_at` in it."""
    try:
        with pq.ParquetFile(path) as opened:
            number = opened.schema_arrow.get_field_index("rejected_at")
            groups = [opened.metadata.row_group(i) for i in range(opened.num_row_groups)]
            ends = [group.column(number).statistics for group in groups]
            first = min((end.min_raw for end in ends), default=FOREVER)
            return opened.schema_arrow, first, max((end.max_raw for end in ends), default=FOREVER)
    except (pa.ArrowException, OSError) as error:
        msg = f"{path} of the store is damaged: {error}; {REMEDY}"
        raise StoreError(msg) from error


def _since(batch: pa.RecordBatch, horizon: int) -> pa.RecordBatch:
    times = batch.column("rejected_at").cast(pa.int64())
    return batch.filter(pc.greater_equal(times, horizon))

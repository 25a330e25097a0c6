"""Merges files of the archive, date by date, and leaves out what stands there twice."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from connectors.local_store.archive_files import SCHEMA, TEXTS, row_groups, write_archive
from connectors.local_store.archive_state import EARLIEST, SAME_ROW, ArchiveState
from connectors.local_store.dates import SEVERAL, day_of, partition_of
from connectors.local_store.errors import StoreError
from connectors.local_store.files import checked_path
from connectors.local_store.manifest import TEMPORARY_PREFIX
from connectors.local_store.merging import LARGE_BYTES, Replacement, read_batches, small_groups
from connectors.local_store.patterns import literal_pattern
from connectors.local_store.records import StoredFile
from connectors.local_store.rows_by_date import RowsByDate
from transforms.spans import Ints

__all__ = ["merge_archive", "repeated_rows", "rewritten"]

MEMORY = "512MB"
"""What the search for repeats may take; beyond it goes to disk."""

TEXT_COLUMNS = [field.name for field in SCHEMA if field.type == TEXTS]

Positions: TypeAlias = Mapping[StoredFile, Ints]
"""Numbers of rows in a file, rising."""


def repeated_rows(
    folder: Path, files: Sequence[StoredFile], state: ArchiveState
) -> dict[StoredFile, Ints]:
    """Rows of the archive that say what another one says that was there earlier.

    Args:
        folder: the store's folder.
        files: the files of the archive.
        state: which of them may hold such rows.

    Raises:
        StoreError: a file is missing or damaged.
    """
    suspects = state.suspects(files)
    if not suspects:
        return {}
    paths = [literal_pattern(str(checked_path(folder, file))) for file in suspects]
    import duckdb  # noqa: PLC0415  (slow to import)

    spill = tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=folder)
    try:
        with contextlib.closing(duckdb.connect()) as connection:
            connection.execute(f"SET memory_limit = '{MEMORY}'")
            connection.execute("SET temp_directory = ?", [spill])
            found = connection.sql(
                f"""
                SELECT filename, list(file_row_number ORDER BY file_row_number) AS numbers
                FROM (
                  SELECT filename, file_row_number
                  FROM read_parquet(?, filename = true, file_row_number = true,
                                    hive_partitioning = false)
                  QUALIFY row_number() OVER (
                    PARTITION BY {SAME_ROW}
                    ORDER BY {EARLIEST}, filename, file_row_number) > 1)
                GROUP BY filename
                """,  # noqa: S608
                params=[paths],
            )
            rows: pa.Table = found.to_arrow_table()
    except duckdb.Error as error:
        reason = str(error).partition("\n")[0]
        msg = f"cannot read the archive in {folder}, a file may be damaged: {reason}"
        raise StoreError(msg) from error
    finally:
        shutil.rmtree(spill, ignore_errors=True)
    # A file's name is that of its content.
    by_name = {PurePath(file.path).name: file for file in suspects}
    names, numbers = rows.column("filename").to_pylist(), rows.column("numbers")
    return {
        by_name[PurePath(name).name]: np.asarray(listed.values)
        for name, listed in zip(names, numbers, strict=True)
    }


def merge_archive(
    folder: Path, files: Sequence[StoredFile], dropped: Positions
) -> Iterator[Replacement]:
    """Merges the small files of each date, and writes those anew that hold rows to be dropped.

    Args:
        folder: the store's folder.
        files: the files of the archive.
        dropped: rows that are to be left out.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    by_day: dict[int, list[StoredFile]] = {}
    for file in files:
        by_day.setdefault(day_of(file.path), []).append(file)
    for day, of_day in sorted(by_day.items()):
        done: set[StoredFile] = set()
        for group in small_groups(of_day, LARGE_BYTES):
            done.update(group)
            yield rewritten(folder, day, group, dropped)
        for file in of_day:
            if file in dropped and file not in done:
                yield rewritten(folder, day, [file], dropped)


def rewritten(
    folder: Path, day: int, files: Sequence[StoredFile], dropped: Positions
) -> Replacement:
    """Writes what files of one date hold to new ones, but for rows that are dropped.

    Args:
        folder: the store's folder.
        day: their date.
        files: the files, small enough to be held together.
        dropped: rows that are to be left out.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    removed = sum(len(dropped.get(file, ())) for file in files)
    rows = (batch for file in files for batch in _kept_rows(folder, file, dropped))
    if removed == sum(file.rows for file in files):
        written = []
    elif day == SEVERAL:
        # They may be of so few dates now that each can have a file.
        held = RowsByDate()
        for batch in rows:
            held.add(batch)
        written = [_write(folder, one, batches) for one, batches in held.take()]
    else:
        written = [_write(folder, day, rows)]
    return Replacement(tuple(files), tuple(written), removed)


def _write(
    folder: Path, day: int, rows: Iterator[pa.RecordBatch] | list[pa.RecordBatch]
) -> StoredFile:
    return write_archive(folder, row_groups(rows), partition_of(day))


def _kept_rows(folder: Path, file: StoredFile, dropped: Positions) -> Iterator[pa.RecordBatch]:
    """The rows of a file that are not dropped."""
    gone = dropped.get(file)
    begin = 0
    for batch in read_batches(folder, file, TEXT_COLUMNS):
        rows = pa.RecordBatch.from_arrays(
            [batch.column(name) for name in SCHEMA.names], schema=SCHEMA
        )
        end = begin + rows.num_rows
        if gone is not None:
            first, last = np.searchsorted(gone, [begin, end])
            kept = np.ones(rows.num_rows, bool)
            kept[gone[first:last] - begin] = False
            rows = rows.filter(pa.array(kept))
        begin = end
        if rows.num_rows:
            yield rows

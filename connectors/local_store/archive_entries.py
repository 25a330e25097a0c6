"""The archive read back as entries: what each of its rows says of which reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.local_store.archive_files import SCHEMA, TEXTS
from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.records import StoredFile
from schemas.entries import ENTRIES
from schemas.groupings import BOTH
from schemas.reading import VersionKind
from transforms.numbers import MICROS
from transforms.spans import Bools
from transforms.versions import entries_of

__all__ = [
    "CONTENT",
    "OF_THE_RUN",
    "Arrived",
    "entries_between",
    "entries_of_rows",
    "read_archive",
]

TEXT_COLUMNS = [field.name for field in SCHEMA if field.type == TEXTS]
BATCH_ROWS = 131_072
EVENT_TIME = SCHEMA.get_field_index("event_time")

CONTENT = ["format", "id", "sensor_id", "quantity", "event_time", "longitude", "latitude"]
CONTENT += ["value", "region_code", "region", "version", "version_kind", "deleted"]
"""The columns of which entries are made."""

OF_THE_RUN = ["run_id", "ingested_at", "too_late"]
"""The columns that say whether a row has arrived."""

MOST_TEXTS = np.iinfo(np.int8).max


def read_archive(
    folder: Path,
    file: StoredFile,
    columns: Sequence[str],
    span: tuple[int, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Rows of a file of the archive, in their order.

    Args:
        folder: the store's folder.
        file: the file.
        columns: the columns to read.
        span: event times in microseconds, the second not included: only row groups that may hold
            some of them are read. All by default.

    Raises:
        StoreError: the file is missing or damaged.
    """
    path = checked_path(folder, file)
    texts = [name for name in TEXT_COLUMNS if name in columns]
    try:
        with pq.ParquetFile(path, read_dictionary=texts) as opened:
            for group in range(opened.num_row_groups):
                if span is None or _may_hold(opened.metadata.row_group(group), span):
                    yield from opened.iter_batches(
                        BATCH_ROWS, [group], columns=list(columns), use_threads=False
                    )
    except (pa.ArrowException, OSError, ValueError) as error:
        msg = f"{path} of the store is damaged: {error}; {REMEDY}"
        raise StoreError(msg) from error


def _may_hold(group: pq.RowGroupMetaData, span: tuple[int, int]) -> bool:
    statistics = group.column(EVENT_TIME).statistics
    if statistics is None or not statistics.has_min_max:
        return False  # nothing but deletions
    return bool(statistics.min_raw < span[1] and statistics.max_raw >= span[0])


def entries_between(
    folder: Path, file: StoredFile, span: tuple[int, int], arrived: Arrived, group_by: str = BOTH
) -> Iterator[pa.RecordBatch]:
    """Entries of the readings of a file with event times in a span.

    Args:
        folder: the store's folder.
        file: the file, of the archive.
        span: event times in microseconds, the second not included.
        arrived: which rows count.
        group_by: what means are grouped by.

    Yields:
        Batches of schema `ENTRIES`, row by row.

    Raises:
        StoreError: the file is missing or damaged.
    """
    for rows in read_archive(folder, file, [*CONTENT, *OF_THE_RUN], span):
        times = rows.column("event_time").view(pa.int64())
        inside = pc.and_(pc.greater_equal(times, span[0]), pc.less(times, span[1]))
        counted = inside.fill_null(False).to_numpy(zero_copy_only=False) & arrived.mask(rows)
        chosen = rows if counted.all() else rows.filter(pa.array(counted))
        yield from entries_of_rows(chosen, group_by)


@dataclass(frozen=True)
class Arrived:
    """Tells rows that have arrived from those that are on their way.

    What a running stream wrote a moment ago to the archive may not be in its windows yet.

    Attributes:
        live: the streams that are running.
        since: when that moment began, in microseconds since the epoch.
    """

    live: frozenset[str]
    since: int

    def mask(self, rows: pa.RecordBatch) -> Bools:
        """Which rows count; of the others the run will speak itself.

        Args:
            rows: with at least the columns `OF_THE_RUN`.
        """
        if not self.live:
            return np.ones(rows.num_rows, bool)
        runs = rows.column("run_id")
        is_live = np.array([name in self.live for name in runs.dictionary.to_pylist()], bool)
        young = np.asarray(rows.column("ingested_at").view(pa.int64())) >= self.since
        late = rows.column("too_late").to_numpy(zero_copy_only=False)
        counted: Bools = ~(is_live[np.asarray(runs.indices)] & young & ~late)
        return counted


def entries_of_rows(rows: pa.RecordBatch, group_by: str = BOTH) -> Iterator[pa.RecordBatch]:
    """Rows of the archive as entries.

    Args:
        rows: with at least the columns `CONTENT`.
        group_by: what means are grouped by.

    Yields:
        Batches of schema `ENTRIES`; together they have the rows in their order.
    """
    if rows.num_rows == 0:
        return
    kinds = rows.column("version_kind")
    numbers = [VersionKind[name.upper()] for name in kinds.dictionary.to_pylist()]
    columns = {name: rows.column(name) for name in ("format", "id", "sensor_id")}
    for name in ENTRIES.names[2:]:
        if name == "value_micros":
            columns[name] = _micros(rows.column("value"))
        elif name == "version":
            columns[name] = rows.column(name).fill_null(0)
        elif name == "version_kind":
            columns[name] = pa.array(np.array(numbers, np.int8)[np.asarray(kinds.indices)])
        else:
            columns[name] = rows.column(name)
    for name in ("format", "quantity", "region_code", "region"):
        column = columns[name]
        if len(column.dictionary) > MOST_TEXTS:
            # A row group may have many, of which a slice of it needs few.
            column = column.dictionary_decode().dictionary_encode()
        if len(column.dictionary) > MOST_TEXTS:
            half = rows.num_rows // 2
            yield from entries_of_rows(rows.slice(0, half), group_by)
            yield from entries_of_rows(rows.slice(half), group_by)
            return
        indices = column.indices.cast(pa.int8())
        columns[name] = pa.DictionaryArray.from_arrays(indices, column.dictionary)
    batch = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    yield entries_of(batch, group_by)


def _micros(values: pa.Array) -> pa.Array:
    absent: Bools | None = None
    if values.null_count:
        absent = values.is_null().to_numpy(zero_copy_only=False)
        values = values.fill_null(0.0)
    return pa.array(np.rint(np.asarray(values) * MICROS).astype(np.int64), mask=absent)

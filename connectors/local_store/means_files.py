"""Files of means: the columns of the tables of means, and exact partial sums beside them.

Rows of regions and of sensors lie in the same files. The tables `regional_means_revisions` and
`sensor_means_revisions` show those of each.
The columns `partial_…` hold the partial statistics of the window's total, so that a later commit
can add to it without loss. The columns `own_…` hold the share of the run that wrote the row; only
a stream needs them, to add the difference when its next pane comes. A partial of several numbers
has a column for each: `partial_sum_0`, `partial_sum_1`.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.local_store.content_files import new_file
from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.records import StoredFile
from schemas.groupings import REGION
from schemas.series import ALL_MEANS, TABLE_OF
from transforms.spans import Bools, Ints
from transforms.statistics import STATISTICS, Partials
from transforms.window_means import PARTIAL, means_schema, read_partials

__all__ = [
    "ALL_STATISTICS",
    "FILE_SCHEMA",
    "MEANS",
    "OWN",
    "families_of",
    "hidden_columns",
    "means_rows",
    "newest_order",
    "read_file",
    "read_hidden",
    "read_windows",
    "write_means",
]

MEANS = TABLE_OF[REGION]
"""The table in whose name all means are kept."""

OWN = "own_"
ALL_STATISTICS = [make() for make in STATISTICS.values()]
LIMBS = dict(
    sorted(
        (name, count) for statistic in ALL_STATISTICS for name, count in statistic.columns.items()
    )
)
GROUP_ROWS = 16_384
"""Rows in a row group: few, so that a commit reads little of what it does not touch."""


def _names(prefix: str, name: str) -> list[str]:
    if LIMBS[name] == 1:
        return [prefix + name]
    return [f"{prefix}{name}_{limb}" for limb in range(LIMBS[name])]


def _hidden(prefix: str, *, nullable: bool) -> list[pa.Field]:
    return [
        pa.field(column, pa.int64(), nullable=nullable)
        for name in LIMBS
        for column in _names(prefix, name)
    ]


FILE_SCHEMA = pa.schema(
    [
        *ALL_MEANS,
        *_hidden(PARTIAL, nullable=False),
        ALL_MEANS.field("emitted_at").with_name(OWN + "emitted_at").with_nullable(True),
        *_hidden(OWN, nullable=True),
    ]
)
"""Columns of a file."""

REPEATED = [
    *(field.name for field in ALL_MEANS if pa.types.is_string(field.type)),
    *("window_size", "window_period", "revision", "count", "emitted_at"),
]
"""Columns for which a dictionary pays."""


def hidden_columns(
    prefix: str, partials: Partials, absent: Bools | None = None
) -> dict[str, pa.Array]:
    """Partial statistics as columns of a file.

    Args:
        prefix: `PARTIAL` or `OWN`.
        partials: the partial statistics, row by row.
        absent: rows that are to be NULL.
    """
    columns = {}
    for name, limbs in LIMBS.items():
        values = partials[name].reshape(-1, limbs)
        for limb, column in enumerate(_names(prefix, name)):
            columns[column] = pa.array(np.ascontiguousarray(values[:, limb]), mask=absent)
    return columns


def read_hidden(rows: pa.Table, prefix: str) -> Partials:
    """The partial statistics of rows of a file; none of them may be NULL."""
    partials = {}
    for name in LIMBS:
        columns = [rows.column(column).to_numpy() for column in _names(prefix, name)]
        partials[name] = columns[0] if len(columns) == 1 else np.stack(columns, axis=1)
    return partials


def means_rows(
    batch: pa.RecordBatch,
    revision: int,
    run_id: str,
    emitted_at: datetime.datetime | None = None,
) -> pa.RecordBatch:
    """Means as rows of a file, with no share of their own.

    Args:
        batch: of schema `transforms.window_means.means_schema(…, partials=True)`, with or without a
            column `emitted_at`.
        revision: the revision of the rows.
        run_id: the run that writes them.
        emitted_at: when they were computed, where the batch does not say so.

    Raises:
        StoreError: the batch has no partial statistics.
    """
    missing = set(means_schema(ALL_STATISTICS, partials=True).names) - set(batch.schema.names)
    if missing:
        msg = f"the store adds means up and needs their columns {', '.join(sorted(missing))}"
        raise StoreError(msg)
    columns = hidden_columns(PARTIAL, read_partials(batch, ALL_STATISTICS))
    fill = {"revision": revision, "run_id": run_id, "emitted_at": emitted_at}
    for field in FILE_SCHEMA:
        if field.name in batch.schema.names and field.name not in columns:
            columns[field.name] = batch.column(field.name).cast(field.type)
        elif field.name in fill:
            columns[field.name] = pa.repeat(pa.scalar(fill[field.name], field.type), len(batch))
        elif field.name not in columns and field.nullable:
            columns[field.name] = pa.nulls(len(batch), field.type)
    return pa.RecordBatch.from_arrays(
        [columns[name] for name in FILE_SCHEMA.names], schema=FILE_SCHEMA
    )


def newest_order(rows: pa.Table) -> Ints:
    """An order of rows in which of each window the one that counts comes last."""
    runs = rows.column("run_id").combine_chunks().dictionary_encode()
    rank = _ranks(runs.dictionary)[np.asarray(runs.indices)]
    return np.lexsort(
        (
            rank,
            rows.column("emitted_at").cast(pa.int64()).to_numpy(),
            rows.column("revision").to_numpy(),
        )
    )


def _ranks(texts: pa.Array) -> Ints:
    """The place of each text in alphabetical order."""
    ranks: Ints = np.argsort(np.argsort(np.array(texts.to_pylist(), object)))
    return ranks


def write_means(folder: Path, rows: pa.Table, *, history: bool = False) -> StoredFile:
    """Writes rows, in the order of window, start and key, to a file named by its content.

    Args:
        folder: the store's folder.
        rows: of `FILE_SCHEMA`.
        history: newer rows of all their windows are in other files.

    Raises:
        StoreError: the file cannot be written.
    """
    ordered = rows.take(pa.array(_order(rows)))

    def write(path: Path) -> int:
        with path.open("wb") as file:
            with pq.ParquetWriter(
                file,
                FILE_SCHEMA,
                compression="zstd",
                compression_level=1,
                use_dictionary=REPEATED,
                store_schema=False,
            ) as writer:
                writer.write_table(ordered.combine_chunks(), row_group_size=GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        return ordered.num_rows

    file = new_file(folder, MEANS, write)
    ends = pc.min_max(rows.column("window_start").cast(pa.int64())).as_py()
    return StoredFile(
        MEANS,
        file.path,
        file.rows,
        file.bytes,
        file.sha256,
        first=ends["min"],
        last=ends["max"],
        history=history,
    )


def _order(rows: pa.Table) -> Ints:
    keys = [rows.column(name).to_numpy() for name in ("emitted_at", "revision")]
    for name in ("quantity", "sensor_id", "region_code"):
        texts = rows.column(name).combine_chunks().dictionary_encode()
        ranks = np.append(_ranks(texts.dictionary), -1)
        keys.append(ranks[np.asarray(texts.indices.fill_null(-1))])
    keys.append(rows.column("window_start").cast(pa.int64()).to_numpy())
    keys += [rows.column(name).to_numpy() for name in ("window_period", "window_size")]
    return np.lexsort(keys)


def families_of(folder: Path, files: Iterable[StoredFile]) -> set[tuple[int, int]]:
    """Size and period, in seconds, of all windows that have rows in files of the table."""
    found: set[tuple[int, int]] = set()
    for file in files:
        rows = read_file(folder, file, ["window_size", "window_period"])
        pairs = rows.group_by(rows.column_names).aggregate([])
        found.update(zip(*(column.to_pylist() for column in pairs.columns), strict=True))
    return found


def read_file(folder: Path, file: StoredFile, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of a file of the table.

    Args:
        folder: the store's folder.
        file: the file.
        columns: the columns to read; all by default.

    Raises:
        StoreError: the file is missing or damaged.
    """
    path = checked_path(folder, file)
    names = FILE_SCHEMA.names if columns is None else columns
    schema = pa.schema([FILE_SCHEMA.field(name) for name in names])
    try:
        return pq.read_table(path, columns=schema.names, partitioning=None).cast(schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} of the store is damaged: {error}; {REMEDY}")


def read_windows(
    folder: Path, files: Iterable[StoredFile], starts: Ints, columns: Sequence[str]
) -> pa.Table:
    """All rows of windows that begin at given times.

    Args:
        folder: the store's folder.
        files: files of the table.
        starts: starts of windows in microseconds, in rising order.
        columns: the columns to read, `window_start` among them.

    Raises:
        StoreError: a file is missing or damaged.
    """
    schema = pa.schema([FILE_SCHEMA.field(name) for name in columns])
    found = []
    for file in files:
        first, last = file.first, file.last
        if first is not None and last is not None and not _any_between(starts, first, last):
            continue
        path = checked_path(folder, file)
        try:
            found += _read(path, starts, schema)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(path, error) from error
    return pa.concat_tables([schema.empty_table(), *found])


def _read(path: Path, starts: Ints, schema: pa.Schema) -> list[pa.Table]:
    found = []
    with pq.ParquetFile(path, memory_map=True) as file:
        number = file.schema_arrow.get_field_index("window_start")
        groups = []
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(number).statistics
            # Python's datetime ends before the last window does: hence the raw numbers.
            if _any_between(starts, statistics.min_raw, statistics.max_raw):
                groups.append(group)
        for group in groups:
            rows = file.read_row_group(group, schema.names, use_threads=False)
            times = rows.column("window_start").cast(pa.int64()).to_numpy()
            place = np.minimum(np.searchsorted(starts, times), len(starts) - 1)
            found.append(rows.filter(pa.array(starts[place] == times)).cast(schema))
    return found


def _any_between(starts: Ints, first: int, last: int) -> bool:
    place = int(np.searchsorted(starts, first))
    return place < len(starts) and int(starts[place]) <= last

"""Windows as the store has them beside windows as the readings make them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.means_files import (
    ALL_STATISTICS,
    FILE_SCHEMA,
    newest_order,
    read_hidden,
)
from connectors.local_store.new_rows import RECONCILED
from connectors.local_store.partials import equal_rows, neutral, taken, without_extremes
from connectors.local_store.records import StoredFile
from connectors.local_store.totals import NEVER, Totals, WindowPartials
from connectors.local_store.window_numbers import Numbering, Windows
from transforms.spans import Bools, Ints
from transforms.statistics import Partials
from transforms.window_means import PARTIAL

__all__ = ["SHOWN", "Check", "Shown", "check", "corrected", "rows_between", "seen"]

SHOWN = [statistic.name for statistic in ALL_STATISTICS]
"""The columns of a row that are compared."""

Shown = dict[str, npt.NDArray[np.float64]]
"""What a reader sees of windows, by column; not a number for NULL."""


@dataclass(frozen=True)
class Check:
    """Windows, what the store says of them, and what the readings say.

    Attributes:
        windows: all windows of either.
        partials: what the readings make.
        before: what a reader sees now.
        after: what a reader should see.
        differs: by window, whether its row is wrong.
    """

    windows: Windows
    partials: Partials
    before: Shown
    after: Shown
    differs: Bools


def check(computed: pa.RecordBatch | None, stored: pa.Table, numbering: Numbering) -> Check:
    """Compares windows with rows of the store.

    Args:
        computed: windows as they should be, all that hold a reading, as of
            `window_rows(…, partials=True)`; None for none.
        stored: all rows that the store has of windows; those that are not computed should be empty.
        numbering: numbers of series.
    """
    series = numbering.series(stored)
    starts = stored.column("window_start").cast(pa.int64()).to_numpy()
    pieces = [(series, starts)]
    right = None if computed is None else WindowPartials.of(computed, numbering)
    if right is not None:
        pieces.append((right.series, right.starts))
    windows = Windows.of(pieces)
    count = len(windows)
    partials = neutral(count)
    if right is not None:
        places = windows.places(right.series, right.starts)
        for name, column in right.partials.items():
            partials[name][places] = column
    there, rows = _newest(windows.places(series, starts), stored, count)
    totals = neutral(count)
    for name, column in read_hidden(rows, PARTIAL).items():
        totals[name][there] = column
    before, after = _shown_rows(there, rows, count), _shown(partials)
    same = equal_rows(without_extremes(totals), without_extremes(partials))
    for name in SHOWN:
        same &= (before[name] == after[name]) | (np.isnan(before[name]) & np.isnan(after[name]))
    return Check(windows, partials, before, after, ~same)


def seen(windows: Windows, rows: pa.Table, numbering: Numbering) -> Shown:
    """What a reader sees of windows.

    Args:
        windows: the windows.
        rows: all rows that the store has of them; of others it may have some too.
        numbering: numbers of series.
    """
    starts = rows.column("window_start").cast(pa.int64()).to_numpy()
    places = windows.places(numbering.series(rows), starts)
    known = places >= 0
    there, newest = _newest(places[known], rows.filter(pa.array(known)), len(windows))
    return _shown_rows(there, newest, len(windows))


def _newest(places: Ints, rows: pa.Table, count: int) -> tuple[Ints, pa.Table]:
    """The places that have a row, and the newest of each."""
    order = newest_order(rows)
    newest = np.full(count, -1)
    # Of several written to one place the last stays.
    newest[places[order]] = order
    there = np.flatnonzero(newest >= 0)
    return there, rows.take(pa.array(newest[there]))


def _shown_rows(there: Ints, rows: pa.Table, count: int) -> Shown:
    shown = _nothing(count)
    for name in SHOWN:
        shown[name][there] = _floats(rows.column(name).combine_chunks())
    return shown


def _nothing(count: int) -> Shown:
    """What a reader sees of windows without a row."""
    return {name: np.full(count, 0.0 if name == "count" else np.nan) for name in SHOWN}


def _shown(partials: Partials) -> Shown:
    shown = _nothing(len(partials["count"]))
    held = np.flatnonzero(partials["count"] > 0)
    found = taken(partials, held)
    for statistic in ALL_STATISTICS:
        shown[statistic.name][held] = _floats(statistic.extract(found))
    return shown


def _floats(column: pa.Array) -> npt.NDArray[np.float64]:
    floats: npt.NDArray[np.float64] = np.asarray(column.cast(pa.float64()).fill_null(np.nan))
    return floats


def corrected(found: Check, rows: Ints) -> Totals:
    """The right totals of some of the windows, as rows to be written.

    Args:
        found: the windows.
        rows: places among them.
    """
    count = len(rows)
    now = int(datetime.datetime.now(datetime.UTC).timestamp() * 1e6)
    return Totals(
        rows,
        taken(found.partials, rows),
        neutral(count),
        np.full(count, NEVER),
        np.full(count, RECONCILED, object),
        np.full(count, now),
    )


def rows_between(
    folder: Path, files: Iterable[StoredFile], span: tuple[int, int], columns: Sequence[str]
) -> pa.Table:
    """All rows of windows that begin in a span.

    Args:
        folder: the store's folder.
        files: files of means.
        span: starts of windows in microseconds, the second not included.
        columns: the columns to read, `window_start` among them.

    Raises:
        StoreError: a file is missing or damaged.
    """
    schema = pa.schema([FILE_SCHEMA.field(name) for name in columns])
    found = [schema.empty_table()]
    for file in files:
        if not _overlap(file.first, file.last, span):
            continue
        path = checked_path(folder, file)
        try:
            found += _read(path, span, schema)
        except (pa.ArrowException, OSError, ValueError) as error:
            msg = f"{path} of the store is damaged: {error}; {REMEDY}"
            raise StoreError(msg) from error
    return pa.concat_tables(found)


def _overlap(first: int | None, last: int | None, span: tuple[int, int]) -> bool:
    return first is None or last is None or (first < span[1] and last >= span[0])


def _read(path: Path, span: tuple[int, int], schema: pa.Schema) -> list[pa.Table]:
    found = []
    with pq.ParquetFile(path) as file:
        number = file.schema_arrow.get_field_index("window_start")
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(number).statistics
            # Python's datetime ends before the last window does: hence the raw numbers.
            if _overlap(statistics.min_raw, statistics.max_raw, span):
                rows = file.read_row_group(group, schema.names, use_threads=False)
                starts = rows.column("window_start").cast(pa.int64()).to_numpy()
                inside = (starts >= span[0]) & (starts < span[1])
                found.append(rows.filter(pa.array(inside)).cast(schema))
    return found

"""From partial statistics by slice to the rows of windows, for a bounded run: no Beam in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.reading import MEANS
from transforms.slices import KEY, SeriesName, merge_partials
from transforms.spans import Ints
from transforms.statistics import STATISTICS, Partials, Statistic
from transforms.wide import carried
from transforms.windows import SlidingWindow, windows_over

__all__ = [
    "PARTIAL",
    "means_schema",
    "partial_columns",
    "partial_fields",
    "read_partials",
    "window_rows",
]

PARTIAL = "partial_"
"""How the columns of partial statistics begin."""


def window_rows(
    batches: Sequence[pa.RecordBatch],
    windows: Sequence[SlidingWindow],
    slice_seconds: int,
    statistics: Sequence[Statistic],
    pane: str = "on_time",
    *,
    partials: bool = False,
) -> pa.RecordBatch:
    """The rows of all windows that hold a reading.

    Args:
        batches: partials of schema `partial_schema`, all there are of their keys.
        windows: the windows wanted.
        slice_seconds: the length of a slice.
        statistics: what to compute; each becomes a column.
        pane: the timing to write into the rows.
        partials: add the partial statistics of each window, of schema `partial_fields`: what a
            sink needs to add more readings to a window later.

    Returns:
        A batch of schema `means_schema`, ordered by window, key and start.
    """
    names, joined = _joined(batches)
    merged = merge_partials(joined, statistics)
    pieces = [
        _rows_of_window(merged, names, window, slice_seconds, statistics, pane, partials=partials)
        for window in sorted(set(windows))
    ]
    return pa.Table.from_batches(pieces).combine_chunks().to_batches()[0]


def _joined(
    batches: Sequence[pa.RecordBatch],
) -> tuple[list[SeriesName], dict[str, npt.NDArray[np.int64]]]:
    """All batches as one, with the keys numbered in their alphabetical order."""
    tables = [_key_names(batch) for batch in batches]
    names = sorted({name for table in tables for name in table}, key=_order)
    number = {name: index for index, name in enumerate(names)}
    partials: dict[str, list[npt.NDArray[np.int64]]] = {"key": []}
    for batch, table in zip(batches, tables, strict=True):
        translate = np.array([number[name] for name in table], np.int64)
        partials["key"].append(translate[np.asarray(batch.column(KEY[0]).indices)])
        for name in batch.schema.names[len(KEY) :]:
            column = batch.column(name)
            if pa.types.is_fixed_size_list(column.type):
                limbs = np.asarray(column.flatten()).reshape(-1, column.type.list_size)
                partials.setdefault(name, []).append(limbs)
            else:
                partials.setdefault(name, []).append(np.asarray(column))
    return names, {name: np.concatenate(columns) for name, columns in partials.items()}


def _order(name: SeriesName) -> tuple[str, ...]:
    return tuple(part or "" for part in name)


def _key_names(batch: pa.RecordBatch) -> list[SeriesName]:
    """The series behind the batch's numbers: its dictionaries are filled in step."""
    columns = [batch.column(name).dictionary.to_pylist() for name in KEY]
    return list(zip(*columns, strict=True))


def _rows_of_window(
    merged: Partials,
    names: list[SeriesName],
    window: SlidingWindow,
    slice_seconds: int,
    statistics: Sequence[Statistic],
    pane: str,
    *,
    partials: bool,
) -> pa.RecordBatch:
    size, period = window.size // slice_seconds, window.period // slice_seconds
    keys, starts, begin, end = windows_over(merged["key"], merged["slice"], size, period)
    sums = _RangeReducer(merged, statistics, begin, end)
    totals = {name: sums.reduce(name, statistic) for name, statistic in sums.columns.items()}
    count = len(keys)
    columns = {
        name: pa.DictionaryArray.from_arrays(
            pa.array(keys.astype(np.int32)), pa.array([key[part] for key in names], pa.string())
        ).dictionary_decode()
        for part, name in enumerate(KEY)
    }
    micros = starts * (slice_seconds * 1_000_000)
    moment = MEANS.field("window_start").type
    columns["window_start"] = pa.array(micros).view(moment)
    columns["window_end"] = pa.array(micros + window.size * 1_000_000).view(moment)
    columns["window_size"] = pa.array(np.full(count, window.size))
    columns["window_period"] = pa.array(np.full(count, window.period))
    columns["pane"] = pa.repeat(pane, count)
    for statistic in statistics:
        columns[statistic.name] = statistic.extract(totals)
    schema = means_schema(statistics, partials=partials)
    if partials:
        columns |= partial_columns(totals, statistics)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def means_schema(statistics: Sequence[Statistic], *, partials: bool = False) -> pa.Schema:
    """Columns of the rows: those of `MEANS`, with the given statistics in place of its own."""
    key = [field for field in MEANS if field.name not in STATISTICS and field.name != "pane"]
    known = {field.name: field for field in MEANS}
    results = [
        known.get(statistic.name, pa.field(statistic.name, pa.float64()))
        for statistic in statistics
    ]
    more = partial_fields(statistics) if partials else []
    return pa.schema([*key, *results, known["pane"], *more])


def partial_fields(statistics: Sequence[Statistic]) -> list[pa.Field]:
    """The columns `partial_…` of the partial statistics, in the order of their names.

    A partial of several numbers is a list of fixed size.
    """
    limbs = {name: count for statistic in statistics for name, count in statistic.columns.items()}
    return [
        pa.field(
            PARTIAL + name,
            pa.int64() if count == 1 else pa.list_(pa.field("limb", pa.int64(), False), count),
            nullable=False,
        )
        for name, count in sorted(limbs.items())
    ]


def partial_columns(
    totals: Partials, statistics: Sequence[Statistic]
) -> dict[str, pa.Array | pa.FixedSizeListArray]:
    """The partial statistics as Arrow columns, by the names of `partial_fields`."""
    columns = {}
    for field in partial_fields(statistics):
        column = totals[field.name.removeprefix(PARTIAL)]
        flat = pa.array(np.ascontiguousarray(column).reshape(-1))
        wide = pa.types.is_fixed_size_list(field.type)
        columns[field.name] = (
            pa.FixedSizeListArray.from_arrays(flat, type=field.type) if wide else flat
        )
    return columns


def read_partials(
    rows: pa.Table | pa.RecordBatch, statistics: Sequence[Statistic]
) -> dict[str, npt.NDArray[np.int64]]:
    """The partial statistics of rows of schema `means_schema(…, partials=True)`."""
    partials = {}
    for field in partial_fields(statistics):
        column = rows.column(field.name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        wide = pa.types.is_fixed_size_list(field.type)
        partials[field.name.removeprefix(PARTIAL)] = (
            np.asarray(column.flatten()).reshape(-1, field.type.list_size)
            if wide
            else np.asarray(column)
        )
    return partials


class _RangeReducer:
    """Combines the rows of many overlapping ranges, each in constant time.

    Sums come from differences of running sums (all integers, so nothing is lost); minima and
    maxima from a table of powers of two (Bender and Farach-Colton 2000, "The LCA problem
    revisited").
    """

    def __init__(
        self, merged: Partials, statistics: Sequence[Statistic], begin: Ints, end: Ints
    ) -> None:
        self._merged, self._begin, self._end = merged, begin, end
        self.columns = {name: stat for stat in statistics for name in stat.columns}

    def reduce(self, name: str, statistic: Statistic) -> npt.NDArray[np.int64]:
        column = self._merged[name]
        if statistic.combine is np.add:
            running = np.zeros((len(column) + 1, *column.shape[1:]), np.int64)
            np.cumsum(column, axis=0, out=running[1:])
            total = running[self._end] - running[self._begin]
            return carried(total) if total.ndim > 1 else total
        length = self._end - self._begin
        level = np.zeros(len(length), np.int64)
        result = np.empty((len(length), *column.shape[1:]), np.int64)
        table, power = column, 0
        while True:
            level = np.flatnonzero((length >> power) == 1)
            low, high = self._begin[level], self._end[level] - (1 << power)
            result[level] = statistic.combine(table[low], table[high])
            power += 1
            if not (length >> power).any():
                return result
            half = 1 << (power - 1)
            table = statistic.combine(table[:-half], table[half:])

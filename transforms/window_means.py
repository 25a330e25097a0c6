"""From partial statistics by slice to the rows of windows, for a bounded run: no Beam in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.reading import MEANS
from transforms.slices import KEY, merge_partials
from transforms.spans import Ints
from transforms.statistics import STATISTICS, Partials, Statistic
from transforms.windows import SlidingWindow, windows_over

__all__ = ["means_schema", "window_rows"]


def window_rows(
    batches: Sequence[pa.RecordBatch],
    windows: Sequence[SlidingWindow],
    slice_seconds: int,
    statistics: Sequence[Statistic],
    pane: str = "on_time",
) -> pa.RecordBatch:
    """The rows of all windows that hold a reading.

    Args:
        batches: partials of schema `partial_schema`, all there are of their keys.
        windows: the windows wanted.
        slice_seconds: the length of a slice.
        statistics: what to compute; each becomes a column.
        pane: the timing to write into the rows.

    Returns:
        A batch of schema `means_schema`, ordered by key, window and start.
    """
    names, partials = _joined(batches)
    merged = merge_partials(partials, statistics)
    pieces = [
        _rows_of_window(merged, names, window, slice_seconds, statistics, pane)
        for window in sorted(set(windows))
    ]
    return pa.Table.from_batches(pieces).combine_chunks().to_batches()[0]


def _joined(
    batches: Sequence[pa.RecordBatch],
) -> tuple[list[tuple[str, ...]], dict[str, npt.NDArray[np.int64]]]:
    """All batches as one, with the keys numbered in their alphabetical order."""
    tables = [_key_names(batch) for batch in batches]
    names = sorted({name for table in tables for name in table})
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


def _key_names(batch: pa.RecordBatch) -> list[tuple[str, ...]]:
    """The keys behind the batch's numbers: its dictionaries are filled in step."""
    columns = [batch.column(name).dictionary.to_pylist() for name in KEY]
    return list(zip(*columns, strict=True))


def _rows_of_window(
    merged: Partials,
    names: list[tuple[str, ...]],
    window: SlidingWindow,
    slice_seconds: int,
    statistics: Sequence[Statistic],
    pane: str,
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
    schema = means_schema(statistics)
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def means_schema(statistics: Sequence[Statistic]) -> pa.Schema:
    """Columns of the rows: those of `MEANS`, with the given statistics in place of its own."""
    key = [field for field in MEANS if field.name not in STATISTICS and field.name != "pane"]
    known = {field.name: field for field in MEANS}
    results = [
        known.get(statistic.name, pa.field(statistic.name, pa.float64()))
        for statistic in statistics
    ]
    return pa.schema([*key, *results, known["pane"]])


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
            return running[self._end] - running[self._begin]
        length = self._end - self._begin
        level = np.zeros(len(length), np.int64)
        result = np.empty(len(length), np.int64)
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

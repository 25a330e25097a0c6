"""Partial statistics by key and slice of event time: what is shuffled instead of readings.

Each batch is reduced at once to one row a (region, quantity, slice), and windows are put together
from slices later. A sliding window then costs no more a reading than an hourly one (Li et al.
2005, "No pane, no gain"; Traub et al. 2019, "Scotty").
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.spans import Ints
from transforms.statistics import Groups, Partials, Statistic

__all__ = [
    "KEY",
    "SliceAccumulator",
    "group_sorted",
    "merge_partials",
    "partial_schema",
    "retract_partials",
]

KEY = ("region_code", "region", "quantity")
"""The columns that tell one series of windows from another."""

COMPACT_FROM = 1 << 19
"""Partial rows that are held before they are merged: bounds the memory of a bundle."""


class SliceAccumulator:
    """Adds up batches of placed readings by key and slice.

    Args:
        slice_seconds: length of a slice.
        statistics: what to keep.
    """

    def __init__(self, slice_seconds: int, statistics: Sequence[Statistic]) -> None:
        self._slice = slice_seconds * 1_000_000
        self._statistics = statistics
        self._keys: dict[tuple[str, str, str], int] = {}
        self._pieces: list[dict[str, npt.NDArray[np.int64]]] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> int:
        """Adds the readings that lie in a region, or takes them away.

        Args:
            batch: with at least the columns `KEY`, `event_time` and `value_micros` of schema
                `PLACED_READINGS`. If there is a column `weight`, a reading of weight -1 is taken
                away again, one of weight 1 is added.

        Returns:
            How many readings were added, less those that were taken away.
        """
        regions = batch.column("region_code")
        kept = regions.is_valid()
        if "deleted" in batch.schema.names:
            kept = pc.and_not(kept, batch.column("deleted"))
        if not pc.all(kept, min_count=0).as_py():
            batch = batch.filter(kept)
        if batch.num_rows == 0:
            return 0
        regions = batch.column("region_code")
        inside = np.asarray(regions.indices)
        values = np.asarray(batch.column("value_micros"))
        slices = np.asarray(batch.column("event_time").view(pa.int64())) // self._slice
        quantities = np.asarray(batch.column("quantity").indices).astype(np.int64)
        width = len(regions.dictionary)
        keys = self._key_numbers(batch, width)[quantities * width + inside]
        gone = _taken_away(batch)
        if gone is None:
            self._append(group_sorted(keys, slices, values, self._statistics))
            return len(values)
        if not gone.all():
            rows = ~gone
            self._append(group_sorted(keys[rows], slices[rows], values[rows], self._statistics))
        left = group_sorted(keys[gone], slices[gone], values[gone], self._statistics)
        self._append(retract_partials(left, self._statistics))
        return len(values) - 2 * int(gone.sum())

    def flush(self, shards: int) -> list[tuple[int, pa.RecordBatch]]:
        """Everything added so far, as Arrow batches; the accumulator is empty afterwards.

        Args:
            shards: how many shares the keys are dealt into by their hash.

        Returns:
            Pairs of a share's number and its partials, of schema `partial_schema`.
        """
        self._compact()
        if not self._pieces:
            return []
        piece = self._pieces.pop()
        self._rows = 0
        names = list(self._keys)
        share_of_key = np.array([zlib.crc32("\0".join(key).encode()) % shards for key in names])
        shares = share_of_key[piece["key"]]
        batches = []
        for share in np.unique(shares).tolist():
            rows = np.flatnonzero(shares == share)
            batches.append((share, self._batch(piece, rows, names)))
        return batches

    def _key_numbers(self, batch: pa.RecordBatch, width: int) -> Ints:
        """This accumulator's number of every (quantity, region) of the batch's dictionaries."""
        columns = [batch.column(name).dictionary.to_pylist() for name in KEY]
        return np.array(
            [
                self._keys.setdefault((code, region, quantity), len(self._keys))
                for quantity in columns[2]
                for code, region in zip(columns[0][:width], columns[1], strict=True)
            ],
            np.int64,
        )

    def _append(self, piece: dict[str, npt.NDArray[np.int64]]) -> None:
        self._pieces.append(piece)
        self._rows += len(piece["key"])
        if self._rows > COMPACT_FROM:
            self._compact()
            # When merging does not help (every reading has a slice of its own), wait longer.
            self._rows = min(self._rows, COMPACT_FROM // 2)

    def _compact(self) -> None:
        if len(self._pieces) > 1:
            joined = {
                name: np.concatenate([piece[name] for piece in self._pieces])
                for name in self._pieces[0]
            }
            self._pieces = [merge_partials(joined, self._statistics)]
        self._rows = sum(len(piece["key"]) for piece in self._pieces)

    def _batch(
        self, piece: Partials, rows: Ints, names: list[tuple[str, str, str]]
    ) -> pa.RecordBatch:
        numbers = piece["key"][rows]
        columns = [
            pa.DictionaryArray.from_arrays(
                pa.array(numbers.astype(np.int32)), pa.array([name[part] for name in names])
            )
            for part in range(len(KEY))
        ]
        columns.append(pa.array(piece["slice"][rows]))
        schema = partial_schema(self._statistics)
        for field in schema:
            if field.name not in (*KEY, "slice"):
                column = piece[field.name][rows]
                flat = pa.array(column.reshape(-1))
                wide = pa.types.is_fixed_size_list(field.type)
                columns.append(
                    pa.FixedSizeListArray.from_arrays(flat, column.shape[1]) if wide else flat
                )
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def _taken_away(batch: pa.RecordBatch) -> npt.NDArray[np.bool_] | None:
    """Which readings have a negative weight; None where none has."""
    if "weight" not in batch.schema.names:
        return None
    gone: npt.NDArray[np.bool_] = np.asarray(batch.column("weight")) < 0
    return gone if gone.any() else None


def partial_schema(statistics: Sequence[Statistic]) -> pa.Schema:
    """Columns of a batch of partials: the key, the slice's number, the partial columns."""
    limbs = {name: count for statistic in statistics for name, count in statistic.columns.items()}
    return pa.schema(
        [pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in KEY]
        + [pa.field("slice", pa.int64())]
        + [
            pa.field(name, pa.int64() if count == 1 else pa.list_(pa.int64(), count))
            for name, count in limbs.items()
        ]
    )


def group_sorted(
    keys: Ints, slices: Ints, values: Ints, statistics: Sequence[Statistic]
) -> dict[str, npt.NDArray[np.int64]]:
    """Partial statistics of values by key and slice."""
    order, starts = _groups(keys, slices)
    groups = Groups(values[order], starts)
    first = order[starts]
    piece = {"key": keys[first], "slice": slices[first]}
    for statistic in statistics:
        piece.update(statistic.add(groups))
    return piece


def merge_partials(
    partials: Partials, statistics: Sequence[Statistic]
) -> dict[str, npt.NDArray[np.int64]]:
    """One row a key and slice, in their order, of partials in any order."""
    order, starts = _groups(partials["key"], partials["slice"])
    first = order[starts]
    merged = {"key": partials["key"][first], "slice": partials["slice"][first]}
    ordered = {name: column[order] for name, column in partials.items()}
    for statistic in statistics:
        merged.update(statistic.merge(ordered, starts))
    return merged


def retract_partials(
    partials: Partials, statistics: Sequence[Statistic]
) -> dict[str, npt.NDArray[np.int64]]:
    """Partials that take away what the given ones add."""
    negative = dict(partials)
    for statistic in statistics:
        negative.update(statistic.retract(partials))
    return negative


def _groups(keys: Ints, slices: Ints) -> tuple[Ints, Ints]:
    """An order that puts equal (key, slice) together, by key then slice; where each begins."""
    lowest = int(slices.min())
    span = int(slices.max()) - lowest + 1
    place = keys * span + (slices - lowest)
    order = _radix_order(place, (int(keys.max()) + 1) * span)
    place = place[order]
    new = np.ones(len(place), bool)
    np.not_equal(place[1:], place[:-1], out=new[1:])
    return order, np.flatnonzero(new)


def _radix_order(numbers: Ints, limit: int) -> Ints:
    """A stable order of numbers in [0, limit).

    NumPy sorts 16-bit numbers by radix, ten times as fast as by comparing; twice is mostly enough.
    """
    if limit <= 1 << 16:
        return np.argsort(numbers.astype(np.uint16), kind="stable")
    if limit <= 1 << 32:
        order = np.argsort((numbers & 0xFFFF).astype(np.uint16), kind="stable")
        high = (numbers >> 16).astype(np.uint16)
        return order[np.argsort(high[order], kind="stable")]
    return np.argsort(numbers, kind="stable")

"""Partial statistics by key and slice of event time: what is shuffled instead of readings.

Each batch is reduced at once to one row a series (region or sensor, and quantity) and slice, and
windows are put together from slices later. A sliding window then costs no more a reading than an
hourly one (Li et al. 2005, "No pane, no gain"; Traub et al. 2019, "Scotty").
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.series import SERIES
from transforms.grouping import distinct
from transforms.spans import Ints
from transforms.statistics import Groups, Partials, Statistic

__all__ = [
    "KEY",
    "SeriesName",
    "SliceAccumulator",
    "group_sorted",
    "merge_partials",
    "partial_schema",
    "retract_partials",
]

KEY = SERIES
SeriesName: TypeAlias = tuple[str | None, str | None, str | None, str]
"""What a series has in the columns `KEY`."""

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
        self._keys: dict[SeriesName, int] = {}
        self._pieces: list[Partials] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds the readings to the series of their region and of their sensor, or takes them away.

        Args:
            batch: with at least the columns `KEY`, `event_time` and `value_micros` of schema
                `PLACED_READINGS`; `transforms.grouping.grouped` has decided in which series each
                counts: in that of its region where `region` is not NULL, in that of its sensor
                where `sensor_id` is not. If there is a column `weight`, a reading of weight -1 is
                taken away again, one of weight 1 is added, and of one of weight 0 there is only the
                series and the slice, with nothing in it.
        """
        if "deleted" in batch.schema.names and batch.column("deleted").true_count:
            batch = batch.filter(pc.invert(batch.column("deleted")))
        for name, keys_of in (("region", self._region_keys), ("sensor_id", self._sensor_keys)):
            column = batch.column(name)
            if column.null_count < batch.num_rows:
                rows = batch.filter(column.is_valid()) if column.null_count else batch
                self._add(rows, keys_of(rows))

    def _add(self, batch: pa.RecordBatch, keys: Ints) -> None:
        values = np.asarray(batch.column("value_micros"))
        slices = np.asarray(batch.column("event_time").view(pa.int64())) // self._slice
        weights = _weights(batch)
        if weights is None:
            self._append(group_sorted(keys, slices, values, self._statistics))
            return
        for weight, of_partials in EFFECTS.items():
            rows = np.flatnonzero(weights == weight)
            if len(rows):
                piece = group_sorted(keys[rows], slices[rows], values[rows], self._statistics)
                self._append(of_partials(piece, self._statistics))

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
        if shards == 1:
            return [(0, self._batch(piece, np.arange(len(piece["key"])), names))]
        share_of_key = np.array([_share(name, shards) for name in names])
        shares = share_of_key[piece["key"]]
        batches = []
        for share in np.unique(shares).tolist():
            rows = np.flatnonzero(shares == share)
            batches.append((share, self._batch(piece, rows, names)))
        return batches

    def _region_keys(self, batch: pa.RecordBatch) -> Ints:
        """This accumulator's number of each row's region and quantity."""
        codes, regions, quantities = (
            batch.column(name) for name in ("region_code", "region", "quantity")
        )
        width = len(codes.dictionary)
        # The two dictionaries of a place are filled in step.
        places = list(
            zip(codes.dictionary.to_pylist(), regions.dictionary.to_pylist(), strict=True)
        )
        table = [
            self._number((code, region, None, quantity))
            for quantity in quantities.dictionary.to_pylist()
            for code, region in places
        ]
        combined = np.asarray(quantities.indices).astype(np.int64) * width
        return np.array(table, np.int64)[combined + np.asarray(codes.indices)]

    def _sensor_keys(self, batch: pa.RecordBatch) -> Ints:
        """This accumulator's number of each row's sensor and quantity."""
        sensors, quantities = batch.column("sensor_id"), batch.column("quantity")
        width, names = len(sensors.dictionary), quantities.dictionary.to_pylist()
        combined = np.asarray(quantities.indices).astype(np.int64) * width
        combined += np.asarray(sensors.indices)
        # Of many sensors a batch may name only few.
        found, places = distinct(combined, len(names) * width)
        texts = sensors.dictionary.take(pa.array(found % width)).to_pylist()
        table = [
            self._number((None, None, text, names[quantity]))
            for text, quantity in zip(texts, (found // width).tolist(), strict=True)
        ]
        return np.array(table, np.int64)[places]

    def _number(self, name: SeriesName) -> int:
        return self._keys.setdefault(name, len(self._keys))

    def _append(self, piece: Partials) -> None:
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

    def _batch(self, piece: Partials, rows: Ints, names: list[SeriesName]) -> pa.RecordBatch:
        found, numbers = distinct(piece["key"][rows], len(names))
        indices = pa.array(numbers.astype(np.int32))
        used = [names[number] for number in found.tolist()]
        columns = [
            pa.DictionaryArray.from_arrays(
                indices, pa.array([name[part] for name in used], pa.string())
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


def _share(name: SeriesName, shards: int) -> int:
    return zlib.crc32("\0".join(part or "" for part in name).encode()) % shards


def _weights(batch: pa.RecordBatch) -> npt.NDArray[np.int8] | None:
    """The weights of readings; None where all are added."""
    if "weight" not in batch.schema.names:
        return None
    weights: npt.NDArray[np.int8] = np.asarray(batch.column("weight"))
    return None if (weights == 1).all() else weights


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


def empty_partials(
    partials: Partials, statistics: Sequence[Statistic]
) -> dict[str, npt.NDArray[np.int64]]:
    """Partials of the same series and slices in which nothing is."""
    empty = dict(partials)
    for statistic in statistics:
        empty.update(statistic.nothing(len(partials["key"])))
    return empty


EFFECTS: dict[int, Callable[[Partials, Sequence[Statistic]], Partials]] = {
    1: lambda partials, _: partials,
    -1: retract_partials,
    0: empty_partials,
}
"""What becomes of the partials of readings, by their weight."""


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

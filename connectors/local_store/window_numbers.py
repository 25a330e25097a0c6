"""Windows as numbers, so that rows of several sources can be put together column by column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.spans import Bools, Ints

__all__ = ["WINDOW", "Numbering", "Windows"]

WINDOW = ("region_code", "sensor_id", "quantity", "window_size", "window_period", "window_start")
"""The columns that tell one window from another."""

OWNER_BITS, QUANTITY_BITS = 32, 20
OWNERS, QUANTITIES = (1 << OWNER_BITS) - 1, (1 << QUANTITY_BITS) - 1


class Numbering:
    """Gives every series of windows (size, period, quantity, region code or sensor) a number.

    A region's name is no part of it: the name that is seen first is the one that is shown.
    """

    def __init__(self) -> None:
        self._families: dict[tuple[int, int], int] = {}
        self._quantities: dict[str, int] = {}
        self._owners: dict[tuple[str | None, str | None], int] = {}
        self.names: dict[str | None, str | None] = {None: None}

    def __len__(self) -> int:
        return len(self._owners)

    def series(self, rows: pa.Table | pa.RecordBatch) -> Ints:
        """The number of each row's series.

        Args:
            rows: with the columns `WINDOW` and `region`.
        """
        family = self._family(_encoded(rows.column("window_size")), rows.column("window_period"))
        codes = _encoded(rows.column("region_code"))
        self._learn(codes, _encoded(rows.column("region")))
        quantities = _encoded(rows.column("quantity"))
        known = self._quantities
        table = [known.setdefault(text, len(known)) for text in quantities.dictionary.to_pylist()]
        quantity = np.array(table, np.int64)[np.asarray(quantities.indices)]
        owner = self._owner(codes, _encoded(rows.column("sensor_id")))
        return family << (QUANTITY_BITS + OWNER_BITS) | quantity << OWNER_BITS | owner

    def _family(self, sizes: pa.DictionaryArray, periods: pa.Array | pa.ChunkedArray) -> Ints:
        """The number of each row's size and period."""
        lengths = _encoded(periods)
        width = max(len(lengths.dictionary), 1)
        # Told apart by hash: to sort pairs takes longer than all else here.
        pairs = np.asarray(sizes.indices).astype(np.int64) * width + np.asarray(lengths.indices)
        numbers = np.zeros(width * len(sizes.dictionary), np.int64)
        for pair in pa.array(pairs).unique().to_pylist():
            size, period = sizes.dictionary[pair // width], lengths.dictionary[pair % width]
            known = self._families
            numbers[pair] = known.setdefault((size.as_py(), period.as_py()), len(known))
        return numbers[pairs]

    def _owner(self, codes: pa.DictionaryArray, sensors: pa.DictionaryArray) -> Ints:
        """The number of each row's region or sensor."""
        known = self._owners
        regions = [(text, None) for text in codes.dictionary.to_pylist()]
        others = [(None, text) for text in sensors.dictionary.to_pylist()]
        table = [known.setdefault(owner, len(known)) for owner in (*regions, *others)]
        place = np.asarray(codes.indices.fill_null(-1)).astype(np.int64)
        sensor = np.asarray(sensors.indices.fill_null(-1)) + len(regions)
        return np.array(table, np.int64)[np.where(place < 0, sensor, place)]

    def _learn(self, codes: pa.DictionaryArray, names: pa.DictionaryArray) -> None:
        width = max(len(names.dictionary), 1)
        code = np.asarray(codes.indices.fill_null(-1)).astype(np.int64)
        pairs = code * width + np.asarray(names.indices.fill_null(0))
        for pair in np.unique(pairs[code >= 0]).tolist():
            text = codes.dictionary[pair // width].as_py()
            self.names.setdefault(text, names.dictionary[pair % width].as_py())

    def columns(self, series: Ints, starts: Ints) -> dict[str, pa.Array]:
        """The columns `WINDOW`, `region` and `window_end` of windows.

        Args:
            series: the numbers of their series.
            starts: their starts in microseconds.
        """
        family = series >> (QUANTITY_BITS + OWNER_BITS)
        families = np.array([*self._families, (0, 0)], np.int64)[family]
        owner = pa.array(series & OWNERS)
        moment = pa.timestamp("us", tz="UTC")
        quantities = pa.array([*self._quantities], pa.string())
        texts = {
            "region_code": [code for code, _ in self._owners],
            "region": [self.names[code] for code, _ in self._owners],
            "sensor_id": [sensor for _, sensor in self._owners],
        }
        return {
            **{name: pa.array(column, pa.string()).take(owner) for name, column in texts.items()},
            "quantity": quantities.take(pa.array(series >> OWNER_BITS & QUANTITIES)),
            "window_start": pa.array(starts).view(moment),
            "window_end": pa.array(starts + families[:, 0] * 1_000_000).view(moment),
            "window_size": pa.array(families[:, 0]),
            "window_period": pa.array(families[:, 1]),
        }


def _encoded(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.dictionary_encode()


@dataclass(frozen=True)
class Windows:
    """A set of windows, each with its place in it.

    Attributes:
        series: the number of each window's series.
        starts: its start in microseconds. Windows are in the order of series, then start.
    """

    series: Ints
    starts: Ints

    @classmethod
    def of(cls, pieces: Iterable[tuple[Ints, Ints]]) -> Windows:
        """All windows of pairs of series and starts, each once."""
        listed = list(pieces)
        series = np.concatenate([np.empty(0, np.int64), *(piece[0] for piece in listed)])
        starts = np.concatenate([np.empty(0, np.int64), *(piece[1] for piece in listed)])
        order = np.lexsort((starts, series))
        series, starts = series[order], starts[order]
        new = np.ones(len(order), bool)
        new[1:] = (series[1:] != series[:-1]) | (starts[1:] != starts[:-1])
        return cls(series[new], starts[new])

    def __len__(self) -> int:
        return len(self.series)

    def only(self, rows: Bools) -> Windows:
        """Some of them."""
        return Windows(self.series[rows], self.starts[rows])

    def places(self, series: Ints, starts: Ints) -> Ints:
        """The place of each given window; -1 for one that is not in the set."""
        if len(self) == 0:
            return np.full(len(series), -1)
        known_series, known_starts = np.unique(self.series), np.unique(self.starts)
        codes = _codes(known_series, known_starts, self.series, self.starts)
        given = _codes(known_series, known_starts, series, starts)
        place = np.minimum(np.searchsorted(codes, given), len(codes) - 1)
        return np.where((given >= 0) & (codes[place] == given), place, -1)


def _codes(known_series: Ints, known_starts: Ints, series: Ints, starts: Ints) -> Ints:
    """One number a window, in the order of series, then start; -1 where one is not known."""
    first = np.minimum(np.searchsorted(known_series, series), len(known_series) - 1)
    second = np.minimum(np.searchsorted(known_starts, starts), len(known_starts) - 1)
    known = (known_series[first] == series) & (known_starts[second] == starts)
    return np.where(known, first * len(known_starts) + second, -1)

"""What bundles of readings change in slices, and panes in windows: by shards of series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming, WindowedValue

from transforms.arrivals import UNKNOWN, oldest_arrival
from transforms.balance import count
from transforms.changes import Changes, Pane, pack, series_key, unpack
from transforms.grouping import grouped
from transforms.partial_rows import PartialRows
from transforms.row_classes import row_classes
from transforms.slices import KEY, SliceAccumulator
from transforms.spans import Ints
from transforms.statistics import Statistic
from transforms.windows import SlidingWindow

__all__ = ["ChangesOf", "ReduceSlices"]

TIMINGS = {PaneInfoTiming.EARLY: "early", PaneInfoTiming.LATE: "late"}


class ReduceSlices(beam.DoFn):
    """Adds up the changes of a whole bundle: a stream's runner does not before it shuffles.

    Elements out are pairs of a shard and the packed changes of its series in one slice.
    """

    def __init__(
        self, seconds: int, statistics: Sequence[Statistic], group_by: str, shards: int
    ) -> None:
        self._seconds, self._statistics, self._group_by = seconds, statistics, group_by
        self._shards = shards
        self._partials = PartialRows(statistics)

    def start_bundle(self) -> None:
        self._slices = SliceAccumulator(self._seconds, self._statistics)
        self._arrived = UNKNOWN

    def process(self, element: pa.RecordBatch) -> None:
        for name, amount in row_classes(element).items():
            count(name, amount)
        self._arrived = min(self._arrived, oldest_arrival(element))
        self._slices.add(grouped(element, self._group_by))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        pane: Pane = (0, 0, 0, "", self._arrived)
        for shard, batch in self._slices.flush(self._shards):
            names, series = _series(batch)
            rows = self._partials.matrix(_partials(batch))
            for number, chosen in _by_slice(np.asarray(batch.column("slice"))):
                few, places = np.unique(series[chosen], return_inverse=True)
                piece = Changes(
                    [names[name] for name in few.tolist()],
                    [pane],
                    places,
                    np.zeros(len(chosen), np.int64),
                    rows[chosen],
                )
                # All of a slice lies in the same windows. Its last moment is never behind the
                # watermark where one of its readings is not.
                at = Timestamp(micros=(number + 1) * self._seconds * 1_000_000 - 1)
                yield WindowedValue((shard, pack(piece)), at, (GlobalWindow(),))


def _series(batch: pa.RecordBatch) -> tuple[list[Any], Any]:
    """The series of a batch of schema `partial_schema`, and the place of each row's among them."""
    columns = [batch.column(name) for name in KEY]
    # All four name a series by the same number.
    texts = zip(*(column.dictionary.to_pylist() for column in columns), strict=True)
    return list(map(series_key, texts)), np.asarray(columns[0].indices).astype(np.int64)


def _by_slice(numbers: Ints) -> Iterator[tuple[int, Ints]]:
    """Rows by the number of their slice."""
    order = np.argsort(numbers, kind="stable")
    found, begins = np.unique(numbers[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, begins[1:]), strict=True)


def _partials(batch: pa.RecordBatch) -> dict[str, Any]:
    """The partial columns of a batch of schema `partial_schema`."""
    partials = {}
    for name in batch.schema.names[len(KEY) + 1 :]:
        column = batch.column(name)
        if pa.types.is_fixed_size_list(column.type):
            flat = column.flatten().to_numpy()
            partials[name] = flat.reshape(-1, column.type.list_size)
        else:
            partials[name] = column.to_numpy()
    return partials


class ChangesOf(beam.DoFn):
    """Panes as changes of their windows: an element a shard and bundle, in the order of firing.

    Args:
        window: the window.
        statistics: what is kept.
        late: count the readings of late panes.
    """

    def __init__(
        self, window: SlidingWindow, statistics: Sequence[Statistic], *, late: bool = False
    ) -> None:
        self._window, self._partials, self._counts_late = window, PartialRows(statistics), late

    def start_bundle(self) -> None:
        self._fired: dict[int, list[tuple[int, Changes]]] = {}
        self._last: Any = None
        self._late = 0

    def process(
        self,
        element: tuple[int, Iterable[bytes]],
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> None:
        shard, values = element
        pieces = list(map(unpack, values))
        # At the watermark a pane comes even if nothing has changed; some runners give out more.
        if pieces:
            timing = TIMINGS.get(pane.timing, "on_time")
            change = self._change(pieces, timing, int(window.start))
            if self._counts_late and timing == "late":
                held = self._partials.held(change.rows)
                self._late += 0 if held is None else int(np.maximum(held, 0).sum())
            self._fired.setdefault(shard, []).append((pane.index, change))
            self._last = timestamp, window

    def finish_bundle(self) -> Iterator[WindowedValue]:
        count("readings", self._late, "late")
        for shard, fired in self._fired.items():
            # Prism brings panes that fire together in any order.
            ordered = [change for _, change in sorted(fired, key=itemgetter(0))]
            at, window = self._last
            yield WindowedValue((shard, pack(Changes.together(ordered))), at, (window,))

    def _change(self, pieces: Sequence[Changes], timing: str, start: int) -> Changes:
        """What a pane changes, one row a series."""
        arrived = min(pane[4] for piece in pieces for pane in piece.panes)
        together = Changes.together(pieces)
        order = np.argsort(together.series, kind="stable")
        series, begins = np.unique(together.series[order], return_index=True)
        return Changes(
            together.names,
            [(start, self._window.size, self._window.period, timing, arrived)],
            series,
            np.zeros(len(series), np.int64),
            self._partials.merged(together.rows[order], begins),
        )

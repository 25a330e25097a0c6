"""The windows of a stream: from the changes of slices to batches of rows, one row a pane.

A pane holds what has changed since the last one; the total of its window stands in keyed state and
is added to. If panes held all of their window instead, each would cost as much as the window has
had changes, over hours and days.

All is by shards of series, not by series: a runner's triggers, its shuffles and its state cost by
the element, so a thousand sensors are as few elements as eighteen regions. The totals are kept in
the global window and cleared by a timer. In a window of its own a runner may take the state away
too early: Prism does so at the window's end, for all the lateness that is allowed.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.coders import BytesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming, WindowedValue

from transforms.arrivals import UNKNOWN, Waits, oldest_arrival
from transforms.balance import count
from transforms.changes import Changes, Pane, pack, series_key, shard_of, unpack
from transforms.grouping import grouped
from transforms.panes import pane_rows
from transforms.partial_rows import PartialRows
from transforms.row_classes import row_classes
from transforms.slices import KEY, SliceAccumulator
from transforms.state_images import StateImages
from transforms.statistics import Statistic
from transforms.triggers import Triggers, all_at_once
from transforms.window_totals import BAGS, RETOLD, Due, TotalsImage, TotalsState, WindowTotals
from transforms.windows import SlidingWindow

__all__ = ["ReduceSlices", "StreamedMeans", "WithoutRetold"]

STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("totals", BytesCoder()))
BAG = [beam.DoFn.StateParam(BagStateSpec(f"totals_{n}", BytesCoder())) for n in range(BAGS)]
CLOSE = TimerSpec("close", TimeDomain.WATERMARK)
TIMER = beam.DoFn.TimerParam(CLOSE)
TIMINGS = {PaneInfoTiming.EARLY: "early", PaneInfoTiming.LATE: "late"}
FLUSH_FROM = 20_000
"""Rows in a batch at most."""
DAY = 86_400


class StreamedMeans(
    beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[pa.RecordBatch]]
):
    """`RegionalMeans` on an unbounded input: see there.

    Args:
        windows: the windows.
        slice_seconds: the length of a slice.
        statistics: what to compute.
        triggers: when panes are given out.
        group_by: what means are grouped by.
        shards: how many shares the series are dealt into. More give more workers work, and a runner
            more elements.
        partials: add the columns of partial statistics.
        retell: also give out windows that were touched and have stayed as they were.
    """

    def __init__(
        self,
        windows: Sequence[SlidingWindow],
        slice_seconds: int,
        statistics: Sequence[Statistic],
        triggers: Triggers,
        group_by: str,
        shards: int,
        *,
        partials: bool,
        retell: bool = False,
    ) -> None:
        super().__init__()
        self._shards = shards
        self._windows, self._slice, self._statistics = windows, slice_seconds, statistics
        self._triggers, self._group_by, self._partials = triggers, group_by, partials
        self._retell = retell

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        reduce_slices = beam.ParDo(
            ReduceSlices(self._slice, self._statistics, self._group_by, self._shards)
        )
        changes = (
            pcoll
            | "AllTime" >> all_at_once()
            | "ReduceSlices" >> reduce_slices.with_output_types(tuple[int, bytes])
        )
        windows = sorted(set(self._windows))
        # Where windows overlap, a late reading is in several of them.
        least = min(windows, key=lambda window: (window.size // window.period, window.size))
        panes = [self._panes(changes, window, late=window == least) for window in windows]
        # When the runner has given out a window's last pane, nothing can come any more.
        keep = self._triggers.runner_lateness + DAY
        totals = _AddUp(self._statistics, keep, partials=self._partials, retell=self._retell)
        return (
            panes
            | "AllWindows" >> beam.Flatten()
            | "BeforeTimers" >> beam.Map(_before_timers).with_output_types(tuple[int, bytes])
            | "Totals" >> beam.ParDo(totals).with_output_types(pa.RecordBatch)
        )

    def _panes(
        self, changes: beam.PCollection, window: SlidingWindow, *, late: bool
    ) -> beam.PCollection:
        name = f"{window.size}_{window.period}"
        changes_of = beam.ParDo(_ChangesOf(window, self._statistics, late=late))
        return (
            changes
            | f"Windows_{name}" >> self._triggers.windows(window)
            | f"Panes_{name}" >> beam.GroupByKey()
            | f"Changes_{name}" >> changes_of.with_output_types(tuple[int, bytes])
            | f"AllTime_{name}" >> all_at_once()
        )


def _before_timers(element: tuple[int, bytes]) -> TimestampedValue:
    # Prism holds back what is later than a timer of its key.
    return TimestampedValue(element, MIN_TIMESTAMP)


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
        for _, batch in self._slices.flush(1):
            names, series = _series(batch)
            shards = np.array([shard_of(name, self._shards) for name in names])[series]
            numbers = np.asarray(batch.column("slice"))
            rows = self._partials.matrix(_partials(batch))
            pane: Pane = (0, 0, 0, "", self._arrived)
            for shard, number, chosen in _groups(shards, numbers):
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


def _groups(shards: Any, numbers: Any) -> Iterator[tuple[int, int, Any]]:
    """Rows by shard and slice."""
    order = np.lexsort((numbers, shards))
    pairs = np.stack([shards[order], numbers[order]], axis=1)
    begins = np.flatnonzero(np.r_[True, (pairs[1:] != pairs[:-1]).any(axis=1)])
    for begin, rows in zip(begins.tolist(), np.split(order, begins[1:]), strict=True):
        yield int(pairs[begin, 0]), int(pairs[begin, 1]), rows


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


class _ChangesOf(beam.DoFn):
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


class _Images(StateImages[TotalsImage]):
    """The totals that this process has in memory."""

    _all = {}  # noqa: RUF012 - of the class, as in its base


class _AddUp(beam.DoFn):
    """Adds changes to the totals of their windows, and gives out rows of those that have changed.

    Args:
        statistics: what is kept.
        keep: how many seconds of event time after a window's end its total is kept.
        partials: add the columns of partial statistics.
        retell: also give out what was touched and has not changed.
    """

    def __init__(
        self, statistics: Sequence[Statistic], keep: int, *, partials: bool, retell: bool
    ) -> None:
        self._statistics, self._partials = statistics, partials
        self._totals = WindowTotals(PartialRows(statistics), keep, retell=retell)
        self._images = _Images(uuid.uuid4().hex)

    def start_bundle(self) -> None:
        _Images.drop_unused()
        self._waits = Waits()
        self._due: list[Due] = []

    def process(
        self,
        element: tuple[int, bytes],
        small: Any = STATE,
        timer: Any = TIMER,
        bag_0: Any = BAG[0],
        bag_1: Any = BAG[1],
        bag_2: Any = BAG[2],
        bag_3: Any = BAG[3],
        bag_4: Any = BAG[4],
        bag_5: Any = BAG[5],
        bag_6: Any = BAG[6],
        bag_7: Any = BAG[7],
        bag_8: Any = BAG[8],
        bag_9: Any = BAG[9],
        bag_10: Any = BAG[10],
        bag_11: Any = BAG[11],
        bag_12: Any = BAG[12],
        bag_13: Any = BAG[13],
        bag_14: Any = BAG[14],
        bag_15: Any = BAG[15],
    ) -> None:
        bags = (
            *(bag_0, bag_1, bag_2, bag_3, bag_4, bag_5, bag_6, bag_7),
            *(bag_8, bag_9, bag_10, bag_11, bag_12, bag_13, bag_14, bag_15),
        )
        shard, data = element
        state = TotalsState.read(small.read())
        image = self._images.take(shard, state.token) or TotalsImage()
        before = state.next
        self._due += self._totals.add(unpack(data), state, image, bags)
        if state.next != before:
            timer.set(Timestamp(state.next))
        small.write(state.write())
        self._images.put(shard, state.token, image)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        due, self._due = self._due, []
        for part in due:
            self._waits.add(part.arrived)
            for timing, number in Counter(part.timings).items():
                count(timing, number, "panes" if timing != RETOLD else "panes_unchanged")
        self._waits.observe()
        for batch in _batches(due, self._statistics, partials=self._partials):
            first = pc.min(batch.column("window_end").cast(pa.int64())).as_py()
            yield WindowedValue(batch, Timestamp(micros=first - 1), (GlobalWindow(),))

    @on_timer(CLOSE)
    def close(
        self,
        shard: Any = beam.DoFn.KeyParam,
        small: Any = STATE,
        timer: Any = TIMER,
        bag_0: Any = BAG[0],
        bag_1: Any = BAG[1],
        bag_2: Any = BAG[2],
        bag_3: Any = BAG[3],
        bag_4: Any = BAG[4],
        bag_5: Any = BAG[5],
        bag_6: Any = BAG[6],
        bag_7: Any = BAG[7],
        bag_8: Any = BAG[8],
        bag_9: Any = BAG[9],
        bag_10: Any = BAG[10],
        bag_11: Any = BAG[11],
        bag_12: Any = BAG[12],
        bag_13: Any = BAG[13],
        bag_14: Any = BAG[14],
        bag_15: Any = BAG[15],
    ) -> None:
        bags = (
            *(bag_0, bag_1, bag_2, bag_3, bag_4, bag_5, bag_6, bag_7),
            *(bag_8, bag_9, bag_10, bag_11, bag_12, bag_13, bag_14, bag_15),
        )
        state = TotalsState.read(small.read())
        image = self._images.take(shard, state.token) or TotalsImage()
        self._totals.close(state, image, bags)
        if state.next is not None:
            timer.set(Timestamp(state.next))
        small.write(state.write())
        self._images.put(shard, state.token, image)


class WithoutRetold(beam.DoFn):
    """Leaves out rows that say what those before them have said."""

    def process(self, element: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        rows = element.filter(pc.not_equal(element.column("pane"), RETOLD))
        if rows.num_rows:
            yield rows


def _batches(
    due: Sequence[Due], statistics: Sequence[Statistic], *, partials: bool
) -> Iterator[pa.RecordBatch]:
    """The rows of a bundle as few batches."""
    windows = [key for part in due for key in part.windows]
    timings = [timing for part in due for timing in part.timings]
    if not windows:
        return
    totals = np.concatenate([part.rows for part in due])
    for begin in range(0, len(windows), FLUSH_FROM):
        some = slice(begin, begin + FLUSH_FROM)
        yield pane_rows(windows[some], timings[some], totals[some], statistics, partials=partials)

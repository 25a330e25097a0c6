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

import contextlib
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
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
from apache_beam.utils.windowed_value import WindowedValue

from schemas.reading import EMITTED_AT
from transforms.arrivals import Waits
from transforms.balance import count
from transforms.changes import unpack
from transforms.panes import pane_rows
from transforms.partial_rows import PartialRows
from transforms.slice_changes import ChangesOf, ReduceSlices
from transforms.state_images import StateImages
from transforms.statistics import Statistic
from transforms.totals_state import BAGS, TotalsImage, TotalsState
from transforms.triggers import Triggers, all_at_once
from transforms.window_totals import RETOLD, Due, WindowTotals
from transforms.windows import SlidingWindow

__all__ = ["StreamedMeans", "WithoutRetold"]

STATE = beam.DoFn.StateParam(ReadModifyWriteStateSpec("totals", BytesCoder()))
BAG = [beam.DoFn.StateParam(BagStateSpec(f"totals_{n}", BytesCoder())) for n in range(BAGS)]
CLOSE = TimerSpec("close", TimeDomain.WATERMARK)
TIMER = beam.DoFn.TimerParam(CLOSE)
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
        changes_of = beam.ParDo(ChangesOf(window, self._statistics, late=late))
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
        with self._kept(shard, small, timer) as (state, image):
            self._due += self._totals.add(unpack(data), state, image, bags)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        due, self._due = self._due, []
        for part in due:
            self._waits.add(part.arrived)
            for timing, number in Counter(part.timings).items():
                if timing != RETOLD:
                    count(timing, number, "panes")
        self._waits.observe()
        for batch in _batches(due, self._statistics, partials=self._partials):
            first = pc.min(batch.column("window_end").cast(pa.int64())).as_py()
            yield WindowedValue(batch, Timestamp(micros=first - 1), (GlobalWindow(),))

    @on_timer(CLOSE)
    def close(
        self,
        shard: Any = beam.DoFn.KeyParam,
        fired: Any = beam.DoFn.TimestampParam,
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
        with self._kept(shard, small, timer, fired=True) as (state, image):
            # A runner may let a timer that was set again fire at its former time, too.
            if state.next is not None and fired >= state.next:
                self._totals.close(state, image, bags)

    @contextlib.contextmanager
    def _kept(
        self, shard: int, small: Any, timer: Any, *, fired: bool = False
    ) -> Iterator[tuple[TotalsState, TotalsImage]]:
        """A shard's state and image; as the block leaves them they are kept."""
        state = TotalsState.read(small.read())
        image = self._images.take(shard, state.token) or TotalsImage()
        before = None if fired else state.next
        yield state, image
        if state.next not in {None, before}:
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
    emitted = np.repeat([part.emitted for part in due], [len(part.windows) for part in due])
    for begin in range(0, len(windows), FLUSH_FROM):
        some = slice(begin, begin + FLUSH_FROM)
        rows = pane_rows(windows[some], timings[some], totals[some], statistics, partials=partials)
        if partials:
            moments = pa.array(emitted[some]).view(EMITTED_AT.type)
            rows = rows.append_column(EMITTED_AT, moments)
        yield rows

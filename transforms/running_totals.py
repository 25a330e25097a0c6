"""The windows of a stream: from the changes of slices to batches of rows, one row a pane.

A pane holds what has changed since the last one; the total of its window stands in keyed state and
is added to. If panes held all of their window instead, each would cost as much as the window has
had changes, over hours and days.

The totals are kept in the global window, by key and window, and cleared by a timer. In a window of
its own a runner may take the state away too early: Prism does so at the window's end, for all the
lateness that is allowed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, TypeAlias

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import BytesCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PaneInfoTiming, WindowedValue

from transforms.arrivals import UNKNOWN, Waits, oldest_arrival, stamped_change, unstamped
from transforms.balance import count
from transforms.grouping import grouped
from transforms.panes import (
    Pane,
    PartialRows,
    RunningTotal,
    SliceKey,
    WindowKey,
    pane_rows,
    slice_key,
)
from transforms.row_classes import row_classes
from transforms.slices import KEY, SliceAccumulator
from transforms.statistics import Statistic
from transforms.triggers import Triggers, all_at_once
from transforms.windows import SlidingWindow

__all__ = ["ReduceSlices", "StreamedMeans"]

TimedChange: TypeAlias = tuple[str, bytes]
"""Timing of a pane, and what it changes."""
TOTAL = beam.DoFn.StateParam(ReadModifyWriteStateSpec("total", BytesCoder()))
FORGET = TimerSpec("forget", TimeDomain.WATERMARK)
TIMER = beam.DoFn.TimerParam(FORGET)
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
        partials: add the columns of partial statistics.
    """

    def __init__(
        self,
        windows: Sequence[SlidingWindow],
        slice_seconds: int,
        statistics: Sequence[Statistic],
        triggers: Triggers,
        group_by: str,
        *,
        partials: bool,
    ) -> None:
        super().__init__()
        self._windows, self._slice, self._statistics = windows, slice_seconds, statistics
        self._triggers, self._group_by, self._partials = triggers, group_by, partials

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        reduce_slices = beam.ParDo(ReduceSlices(self._slice, self._statistics, self._group_by))
        changes = (
            pcoll
            | "AllTime" >> all_at_once()
            | "ReduceSlices" >> reduce_slices.with_output_types(tuple[SliceKey, bytes])
        )
        windows = sorted(set(self._windows))
        # Where windows overlap, a late reading is in several of them.
        least = min(windows, key=lambda window: (window.size // window.period, window.size))
        panes = [self._panes(changes, window, late=window == least) for window in windows]
        # When the runner has given out a window's last pane, nothing can come any more.
        keep = self._triggers.runner_lateness + DAY
        totals = beam.ParDo(_AddUp(self._statistics, keep))
        rows = beam.ParDo(_GatherRows(self._statistics, partials=self._partials))
        return (
            panes
            | "AllWindows" >> beam.Flatten()
            | "Totals" >> totals.with_output_types(Pane)
            | "GatherRows" >> rows.with_output_types(pa.RecordBatch)
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
            | f"Changes_{name}" >> changes_of.with_output_types(tuple[WindowKey, TimedChange])
            | f"AllTime_{name}" >> all_at_once()
        )


class ReduceSlices(beam.DoFn):
    """Adds up the changes of a whole bundle: a stream's runner does not before it shuffles."""

    def __init__(self, seconds: int, statistics: Sequence[Statistic], group_by: str) -> None:
        self._seconds, self._statistics, self._group_by = seconds, statistics, group_by
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
            columns = [batch.column(name).to_pylist() for name in KEY]
            keys = map(slice_key, zip(*columns, strict=True))
            rows = self._partials.pack(_partials(batch))
            for key, number, row in zip(keys, batch.column("slice").to_pylist(), rows, strict=True):
                # All of a slice lies in the same windows. Its last moment is never behind the
                # watermark where one of its readings is not.
                at = Timestamp(micros=(number + 1) * self._seconds * 1_000_000 - 1)
                change = stamped_change(row, self._arrived)
                yield WindowedValue((key, change), at, (GlobalWindow(),))


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
    """Panes as single changes, by key and window, in the order in which they fired.

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
        self._fired: list[tuple[int, WindowedValue]] = []
        self._late = 0

    def process(
        self,
        element: tuple[SliceKey, Iterable[bytes]],
        timestamp: Any = beam.DoFn.TimestampParam,
        window: Any = beam.DoFn.WindowParam,
        pane: Any = beam.DoFn.PaneInfoParam,
    ) -> None:
        key, values = element
        changes, arrived = unstamped(values, self._partials.size)
        # At the watermark a pane comes even if nothing has changed; some runners give out more.
        if changes:
            where = (key, int(window.start), self._window.size, self._window.period)
            timing, merged = TIMINGS.get(pane.timing, "on_time"), self._partials.merged(changes)
            if self._counts_late and timing == "late":
                self._late += max(0, self._partials.held(merged) or 0)
            change = (timing, stamped_change(merged, arrived))
            self._fired.append((pane.index, WindowedValue((where, change), timestamp, (window,))))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        count("readings", self._late, "late")
        # Prism brings panes that fire together in any order.
        for _, fired in sorted(self._fired, key=itemgetter(0)):
            yield fired


class _AddUp(beam.DoFn):
    """Adds changes to the total of their window, and gives it out where it has changed.

    Args:
        statistics: what is kept.
        keep: how many seconds of event time after a window's end its total is kept.
    """

    def __init__(self, statistics: Sequence[Statistic], keep: int) -> None:
        self._partials, self._keep = PartialRows(statistics), keep
        self._total = RunningTotal(self._partials)

    def start_bundle(self) -> None:
        self._waits = Waits()

    def finish_bundle(self) -> None:
        self._waits.observe()

    def process(
        self,
        element: tuple[WindowKey, TimedChange],
        total: Any = TOTAL,
        timer: Any = TIMER,
    ) -> Iterator[Pane]:
        where, (timing, change) = element
        changes, arrived = unstamped([change], self._partials.size)
        before = total.read()
        if before is None:
            _, start, size, _ = where
            timer.set(Timestamp(start + size + self._keep))
        state, due = self._total.add(before, changes)
        total.write(state)
        if due is not None:
            self._waits.add(arrived)
            yield where, timing, due

    @on_timer(FORGET)
    def forget(self, total: Any = TOTAL) -> None:
        total.clear()


class _GatherRows(beam.DoFn):
    """The panes of a bundle as few batches."""

    def __init__(self, statistics: Sequence[Statistic], *, partials: bool) -> None:
        self._statistics, self._partials = statistics, partials

    def start_bundle(self) -> None:
        self._panes: list[Pane] = []
        self._oldest = MAX_TIMESTAMP

    def process(
        self, element: Pane, timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[pa.RecordBatch]:
        self._panes.append(element)
        self._oldest = min(self._oldest, timestamp)
        if len(self._panes) >= FLUSH_FROM:
            yield self._rows()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self._panes:
            yield WindowedValue(self._rows(), self._oldest, (GlobalWindow(),))

    def _rows(self) -> pa.RecordBatch:
        panes, self._panes = self._panes, []
        for timing, number in Counter(timing for _, timing, _ in panes).items():
            count(timing, number, "panes")
        return pane_rows(panes, self._statistics, partials=self._partials)

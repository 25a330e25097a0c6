"""RegionalMeans: statistics by region or sensor, quantity and event-time window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

import transforms.batches  # noqa: F401 - registers the coder of batches
from schemas.groupings import REGION
from transforms.balance import count
from transforms.grouping import checked_grouping, grouped
from transforms.row_classes import row_classes
from transforms.running_totals import StreamedMeans
from transforms.slices import SliceAccumulator
from transforms.statistics import STATISTICS, Statistic
from transforms.triggers import Triggers
from transforms.window_means import window_rows
from transforms.windows import HOURLY, SLIDING, SlidingWindow, slice_seconds

__all__ = ["HourlyMeans", "RegionalMeans", "SlidingMeans"]

SHARDS = 16


class RegionalMeans(
    beam.PTransform[beam.PCollection[pa.RecordBatch], beam.PCollection[pa.RecordBatch]]
):
    """Count, mean, minimum, maximum and standard deviation of every window of regions and sensors.

    Elements in are batches of schema `PLACED_READINGS`, or what `KeepLatestVersion` gives; elements
    out are batches of schema `schemas.reading.MEANS`, one row a region, quantity and window that
    holds a reading; rows of sensors have `sensor_id` and no region. By region, readings in no
    region are left out, but one without a place counts in the windows of its sensor, if it has one.
    By sensor, readings count wherever they lie, and those that name no sensor are left out. The
    counters `counted`, `outside`, `no_place` and `deleted` of the namespace `balance` count what
    comes in by its place, however means are grouped.

    Batches are reduced to partial statistics by slice of event time, only these are shuffled, and
    windows are put together from slices (Li et al. 2005, "No pane, no gain"). Sums are of whole
    millionths: the rows do not depend on the order or the number of the batches.

    On an unbounded input a window has many panes (Akidau et al. 2015, "The dataflow model"): early
    ones, one when the watermark passes its end, and late ones. Each that changes something is one
    row, which holds all of its window so far; of the rows of a window the last one counts. A window
    that has lost its last reading gets a row with count 0. In a batch with a column `weight`, a
    reading of weight -1 is taken away.

    Args:
        windows: the windows, by default hourly and 60 minutes every 5.
        statistics: names of `transforms.statistics.STATISTICS`, by default all.
        triggers: when the panes of an unbounded input are given out.
        group_by: `region`, `sensor` or `both`.
        partials: add columns `partial_…`, from which a sink can add rows up without loss; on an
            unbounded input also `emitted_at`, by which it can tell which row of a window is newer.
        shards: how many shares the series are dealt into; by default 16.
        retell: on an unbounded input, also give out windows that a reading of weight 0 has touched,
            or that have stayed as they were, with the timing `retold`. For a sink that compares: a
            stream that begins again from a checkpoint may have given out, before it failed, what
            it does not count any more.

    Raises:
        ValueError: no windows, an unknown statistic, another word for `group_by`, or no shards.
    """

    def __init__(
        self,
        windows: Sequence[SlidingWindow] = (HOURLY, SLIDING),
        statistics: Sequence[str] = tuple(STATISTICS),
        triggers: Triggers | None = None,
        group_by: str = REGION,
        *,
        partials: bool = False,
        shards: int | None = None,
        retell: bool = False,
    ) -> None:
        super().__init__()
        if shards is not None and shards < 1:
            msg = f"there must be a shard at least, not {shards}"
            raise ValueError(msg)
        if not windows:
            msg = "RegionalMeans needs at least one window"
            raise ValueError(msg)
        unknown = set(statistics) - set(STATISTICS)
        if unknown:
            msg = f"unknown statistics {sorted(unknown)}; there are {', '.join(STATISTICS)}"
            raise ValueError(msg)
        self._windows = tuple(windows)
        self._slice = slice_seconds(self._windows)
        self._statistics = [STATISTICS[name]() for name in statistics]
        self._triggers = triggers or Triggers()
        self._group_by = checked_grouping(group_by)
        self._partials, self._shards, self._retell = partials, shards or SHARDS, retell

    def expand(self, pcoll: beam.PCollection[pa.RecordBatch]) -> beam.PCollection[pa.RecordBatch]:
        if not pcoll.is_bounded:
            return pcoll | "Stream" >> StreamedMeans(
                self._windows,
                self._slice,
                self._statistics,
                self._triggers,
                self._group_by,
                self._shards,
                partials=self._partials,
                retell=self._retell,
            )
        reduce_slices = _ReduceSlices(self._slice, self._statistics, self._group_by, self._shards)
        make_windows = _MakeWindows(
            self._windows, self._slice, self._statistics, partials=self._partials
        )
        return (
            pcoll
            | "AllTime" >> beam.WindowInto(GlobalWindows())
            | "ReduceSlices"
            >> beam.ParDo(reduce_slices).with_output_types(tuple[int, pa.RecordBatch])
            | "BySeries" >> beam.GroupByKey()
            | "MakeWindows" >> beam.ParDo(make_windows).with_output_types(pa.RecordBatch)
        )


class HourlyMeans(RegionalMeans):
    """The means of every hour: `RegionalMeans` with one kind of window.

    Args:
        statistics: names of `transforms.statistics.STATISTICS`, by default all.
        options: the others of `RegionalMeans`.
    """

    def __init__(self, statistics: Sequence[str] = tuple(STATISTICS), **options: Any) -> None:
        super().__init__((HOURLY,), statistics, **options)


class SlidingMeans(RegionalMeans):
    """The means of overlapping windows: `RegionalMeans` with one kind of window.

    Args:
        size: length of a window in seconds.
        period: seconds from one window's start to the next one's.
        statistics: names of `transforms.statistics.STATISTICS`, by default all.
        options: the others of `RegionalMeans`.
    """

    def __init__(
        self,
        size: int = SLIDING.size,
        period: int = SLIDING.period,
        statistics: Sequence[str] = tuple(STATISTICS),
        **options: Any,
    ) -> None:
        super().__init__((SlidingWindow(size, period),), statistics, **options)


class _ReduceSlices(beam.DoFn):
    """Partials are added up over the whole bundle: only its few rows are shuffled."""

    def __init__(
        self, seconds: int, statistics: list[Statistic], group_by: str, shards: int
    ) -> None:
        self._seconds, self._statistics, self._group_by = seconds, statistics, group_by
        self._shards = shards

    def start_bundle(self) -> None:
        self._slices = SliceAccumulator(self._seconds, self._statistics)

    def process(self, element: pa.RecordBatch) -> None:
        for name, amount in row_classes(element).items():
            count(name, amount)
        self._slices.add(grouped(element, self._group_by))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for shard in self._slices.flush(self._shards):
            yield WindowedValue(shard, GlobalWindow().max_timestamp(), (GlobalWindow(),))


class _MakeWindows(beam.DoFn):
    def __init__(
        self,
        windows: Sequence[SlidingWindow],
        seconds: int,
        statistics: list[Statistic],
        *,
        partials: bool,
    ) -> None:
        self._windows, self._seconds, self._statistics = windows, seconds, statistics
        self._partials = partials

    def process(self, element: tuple[int, Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        _, batches = element
        yield window_rows(
            list(batches),
            self._windows,
            self._seconds,
            self._statistics,
            partials=self._partials,
        )

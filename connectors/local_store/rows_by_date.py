"""Rows that have an event time, gathered by date, so that each file of the archive holds one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.archive_files import joined
from connectors.local_store.dates import DAY, SEVERAL, days_of
from transforms.spans import Ints

__all__ = ["RowsByDate"]

MOST_DATES = 64
"""Dates that get files of their own at one time; each file costs some milliseconds."""

FEW_BYTES = 4 << 20
"""Rows of a date that are worth a file of their own, however many dates there are."""


class RowsByDate:
    """Holds rows by date.

    Attributes:
        bytes: how much is held.
    """

    def __init__(self) -> None:
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self.bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Takes rows with a column `event_time`; all batches must have the same schema."""
        for day, part in _by_day(batch):
            self._held.setdefault(day, []).append(part)
        self.bytes += batch.nbytes

    def take(self) -> Iterator[tuple[int, list[pa.RecordBatch]]]:
        """Gives all that is held: day by day, and the rows of many days of few rows together.

        Yields:
            A day, or `SEVERAL`, and its rows; those of several days in their order.
        """
        held, self._held, self.bytes = self._held, {}, 0
        scattered = held.pop(SEVERAL, [])
        if len(held) > MOST_DATES:
            small = [day for day in held if sum(map(_size, held[day])) < FEW_BYTES]
            scattered += [part for day in small for part in held.pop(day)]
        rest = []
        for day, part in _days_in_order(scattered) if scattered else ():
            if day in held:
                held[day].append(part)
            elif _size(part) >= FEW_BYTES:
                held[day] = [part]
            else:
                rest.append(part)
        for day in sorted(held):
            yield day, held.pop(day)
        if rest:
            yield SEVERAL, rest


def _size(batch: pa.RecordBatch) -> int:
    return batch.nbytes


def _by_day(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The readings of each day; of `SEVERAL` where there are too many."""
    times = batch.column("event_time")
    if not times.null_count:
        # Most batches hold one day, and are passed on as they are.
        ends = pc.min_max(times.view(pa.int64())).as_py()
        first, last = ends["min"] // DAY, ends["max"] // DAY
        if first == last:
            yield first, batch
            return
    found, numbers = np.unique(days_of(times), return_inverse=True)
    if len(found) > MOST_DATES:
        yield SEVERAL, batch
        return
    yield from _cut(batch, found.tolist(), numbers)


def _days_in_order(batches: list[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    rows = joined(batches)
    found, numbers = np.unique(days_of(rows.column("event_time")), return_inverse=True)
    yield from _cut(rows, found.tolist(), numbers)


def _cut(
    batch: pa.RecordBatch, days: list[int], numbers: Ints
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of each day, in the order of days; `numbers` says which is each row's."""
    few = numbers.astype(np.uint16) if len(days) <= 1 << 16 else numbers
    ordered = batch.take(pa.array(np.argsort(few, kind="stable")))
    begin = 0
    for day, end in zip(days, np.cumsum(np.bincount(numbers)).tolist(), strict=True):
        yield day, ordered.slice(begin, end - begin)
        begin = end

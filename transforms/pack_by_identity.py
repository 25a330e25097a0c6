"""PackByIdentity: deals readings of a stream out into shards by the hash of their identity."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.window import GlobalWindow, TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from schemas.groupings import BOTH
from transforms.packed_entries import packed_entries
from transforms.packed_rows import DELETED, Packed, Rows, flags_of, pack
from transforms.packed_series import joined_packed

__all__ = ["PackByIdentity", "oldest_event_time"]

FLUSH_FROM = 1 << 18
"""Rows that a bundle holds before it passes them on: bounds its memory."""


class PackByIdentity(beam.DoFn):
    """Deals out the entries of a bundle by their identity: pairs of a shard and packed rows.

    Each carries its oldest event time as its timestamp.

    Args:
        shards: how many shards there are.
        group_by: what means are grouped by.
    """

    def __init__(self, shards: int, group_by: str = BOTH) -> None:
        self._shards, self._group_by = shards, group_by

    def start_bundle(self) -> None:
        self._pieces: list[Packed] = []
        self._rows = 0
        self._oldest = MAX_TIMESTAMP

    def process(
        self, element: pa.RecordBatch, timestamp: Any = beam.DoFn.TimestampParam
    ) -> Iterator[TimestampedValue]:
        if not element.num_rows:
            return
        self._oldest = min(self._oldest, timestamp)
        self._pieces.append(packed_entries(element, time.time(), self._group_by))
        self._rows += element.num_rows
        if self._rows >= FLUSH_FROM:
            yield from self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for stamped in self._flush():
            yield WindowedValue(stamped.value, stamped.timestamp, (GlobalWindow(),))

    def _flush(self) -> Iterator[TimestampedValue]:
        pieces, self._pieces, self._rows = self._pieces, [], 0
        if not pieces:
            return
        packed = joined_packed(pieces)
        for shard, rows in dealt_out(packed.rows, self._shards):
            at = oldest_event_time(rows, self._oldest)
            yield TimestampedValue((shard, pack(Packed(rows, packed.names))), at)


def dealt_out(rows: Rows, shards: int) -> Iterator[tuple[int, Rows]]:
    """Shares of the rows by the upper bits of the hash, each in the order of the rows."""
    upper = rows["high"] >> np.uint64(32)
    numbers = ((upper * np.uint64(shards)) >> np.uint64(32)).astype(np.uint16)
    order = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=shards)).tolist()
    ordered = rows.take(order)
    begin = 0
    for shard, end in enumerate(ends):
        if end > begin:
            yield shard, ordered[begin:end]
        begin = end


def oldest_event_time(rows: Rows, otherwise: Timestamp) -> Timestamp:
    """Of the rows that have an event time: deletions have none."""
    times = rows["event_time"][(flags_of(rows) & DELETED) == 0]
    return Timestamp(micros=int(times.min())) if len(times) else otherwise

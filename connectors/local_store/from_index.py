"""Partial statistics of windows, computed anew from the newest entries of the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from connectors.local_store.index import Index, hash_ranges
from connectors.local_store.mapped import Mapped
from connectors.local_store.means_files import ALL_STATISTICS
from schemas.entries import ENTRIES
from transforms.slices import SliceAccumulator
from transforms.spans import Bools, Ints
from transforms.versions import joined, newest
from transforms.window_means import window_rows
from transforms.windows import SlidingWindow, slice_seconds

__all__ = ["Wanted", "windows_of_index", "windows_of_slices"]


@dataclass(frozen=True)
class Wanted:
    """Which windows are asked for.

    Attributes:
        starts: their starts in microseconds.
        ends: their ends.
        codes: codes of their regions.
        sensors: their sensors.
    """

    starts: Ints
    ends: Ints
    codes: frozenset[str]
    sensors: frozenset[str] = frozenset()

    @property
    def first(self) -> int:
        """The earliest start."""
        return int(self.starts.min())

    @property
    def last(self) -> int:
        """The latest end."""
        return int(self.ends.max())

    def spans(self) -> tuple[Ints, Ints]:
        """The times that the windows cover, as intervals that do not touch."""
        order = np.argsort(self.starts)
        starts, ends = self.starts[order], np.maximum.accumulate(self.ends[order])
        new = np.ones(len(starts), bool)
        new[1:] = starts[1:] > ends[:-1]
        firsts = np.flatnonzero(new)
        return starts[firsts], ends[np.append(firsts[1:], len(starts)) - 1]

    def held(self, rows: pa.RecordBatch) -> Bools:
        """Which entries may lie in one of the windows."""
        starts, ends = self.spans()
        times = np.asarray(rows.column("event_time").view(pa.int64()))
        held = (times >= starts[0]) & (times < ends[-1])
        if len(starts) > 1:
            place = np.maximum(np.searchsorted(starts, times, "right") - 1, 0)
            held &= times < ends[place]
        ours = _among(rows.column("region_code"), self.codes)
        ours |= _among(rows.column("sensor_id"), self.sensors)
        found: Bools = held & ours
        return found


def _among(texts: pa.DictionaryArray, wanted: frozenset[str]) -> Bools:
    """Which rows have one of the texts."""
    if not wanted or texts.null_count == len(texts):
        return np.zeros(len(texts), bool)
    # The last one stands for none.
    table = np.array([*(text in wanted for text in texts.dictionary.to_pylist()), False])
    found: Bools = table[np.asarray(texts.indices.fill_null(-1))]
    return found


def windows_of_index(
    index: Index, families: Sequence[SlidingWindow], wanted: Wanted | None = None
) -> pa.RecordBatch | None:
    """Windows over the newest versions of all readings.

    Args:
        index: the index.
        families: the kinds of windows.
        wanted: only these matter; others may come too, but not whole.

    Returns:
        Rows as of `window_rows(…, partials=True)`; None where there is none.
    """
    seconds = slice_seconds(families)
    slices = SliceAccumulator(seconds, ALL_STATISTICS)
    for low, high in hash_ranges(index.rows):
        entries = _newest_between(index, low, high, wanted)
        if entries is not None:
            slices.add(entries)
    return windows_of_slices(slices, families, seconds)


def windows_of_slices(
    slices: SliceAccumulator, families: Sequence[SlidingWindow], slice_seconds: int
) -> pa.RecordBatch | None:
    """Windows over all that an accumulator holds.

    Args:
        slices: the accumulator; empty afterwards.
        families: the kinds of windows.
        slice_seconds: length of its slices.

    Returns:
        Rows as of `window_rows(…, partials=True)`; None where there is none.
    """
    batches = [batch for _, batch in slices.flush(1)]
    if not batches or not families:
        return None
    return window_rows(batches, families, slice_seconds, ALL_STATISTICS, partials=True)


def _newest_between(
    index: Index, low: int, high: int, wanted: Wanted | None
) -> pa.RecordBatch | None:
    mapped = [file for file in index.mapped(low, high) if _may_hold(file, wanted)]
    parts = []
    for file in mapped:
        part = file.between(low, high)
        if wanted is not None:
            # Only columns that are needed to decide are read of all rows.
            part = part.take(pa.array(np.flatnonzero(wanted.held(part))))
        if part.num_rows:
            parts.append(part.select(ENTRIES.names))
    if not parts:
        return None
    found = newest(joined(parts)).entries
    if wanted is None:
        return found
    # A newer version may lie in another window.
    _, all_versions = index.find(
        np.asarray(found.column("identity_high")), np.asarray(found.column("identity_low"))
    )
    return newest(all_versions.select(ENTRIES.names)).entries


def _may_hold(mapped: Mapped, wanted: Wanted | None) -> bool:
    first, last = mapped.file.first, mapped.file.last
    if wanted is None or first is None or last is None:
        return wanted is None
    return first < wanted.last and last >= wanted.first

"""Windows as the archive makes them, of the newest version of each of its readings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.archive_entries import Arrived, entries_between
from connectors.local_store.entry_shards import NOTHING, EntryShards, Shard
from connectors.local_store.from_index import windows_of_slices
from connectors.local_store.index import Index
from connectors.local_store.means_files import ALL_STATISTICS
from connectors.local_store.records import StoredFile
from connectors.local_store.waiting import compared, newer_than
from schemas.entries import ENTRIES
from transforms.slices import SliceAccumulator
from transforms.spans import Ints, Words
from transforms.versions import joined, newest
from transforms.windows import SlidingWindow, slice_seconds

__all__ = ["Truth", "archive_in", "event_times", "truth"]


@dataclass
class Truth:
    """What the readings say.

    Attributes:
        windows: windows as of `window_rows(…, partials=True)`: all that begin in the span and hold
            a reading, and others that are not whole; None for none.
        unknown: entries that the index lacks, in the order of their identities.
        claims: by stream, the windows over the entries that it counts itself.
    """

    windows: pa.RecordBatch | None
    unknown: list[pa.RecordBatch] = field(default_factory=list)
    claims: dict[str, pa.RecordBatch | None] = field(default_factory=dict)


def event_times(span: tuple[int, int], families: Sequence[SlidingWindow]) -> tuple[int, int]:
    """Event times of the readings that windows may hold which begin in a span.

    Args:
        span: starts of windows in microseconds, the second not included.
        families: the kinds of windows.

    Returns:
        The earliest time, and the one at which the last window ends.
    """
    firsts, ends = [], []
    for family in families:
        period, size = family.period * 1_000_000, family.size * 1_000_000
        firsts.append(-(-span[0] // period) * period)
        ends.append((span[1] - 1) // period * period + size)
    return min(firsts), max(ends)


def archive_in(files: Sequence[StoredFile], span: tuple[int, int]) -> list[StoredFile]:
    """Files of the archive that may hold readings with event times in a span."""
    return [
        file
        for file in files
        if file.first is None
        or file.last is None
        or (file.first < span[1] and file.last >= span[0])
    ]


def truth(
    folder: Path,
    archive: Sequence[StoredFile],
    index: Index,
    families: Sequence[SlidingWindow],
    span: tuple[int, int],
    arrived: Arrived,
    group_by: str,
    *,
    whole_index: bool,
    streams: Collection[str] = (),
) -> Truth:
    """Computes windows anew.

    Args:
        folder: the store's folder.
        archive: files of the archive.
        index: the index, which knows where the newest version of a reading lies.
        families: the kinds of windows.
        span: starts of windows in microseconds, the second not included.
        arrived: which rows of the archive count.
        group_by: what means are grouped by.
        whole_index: count readings that the index has and the archive has not.
        streams: runs whose own entries are asked for.

    Raises:
        StoreError: a file is missing or damaged.
    """
    seconds = slice_seconds(families)
    times = event_times(span, families)
    slices = SliceAccumulator(seconds, ALL_STATISTICS)
    own = {run_id: SliceAccumulator(seconds, ALL_STATISTICS) for run_id in streams}
    found = Truth(None)
    with EntryShards(folder) as shards:
        for file in archive_in(archive, times):
            for entries in entries_between(folder, file, times, arrived, group_by):
                shards.add(newest(entries).entries)
        for shard in shards:
            seen = newest(shard.entries).entries
            pieces = [seen]
            if whole_index:
                pieces.append(_not_among(seen, _indexed(index, shard, times)))
            for entries in pieces:
                places, known = index.find(*_hashes(entries))
                slices.add(_right(entries, places, known))
                unknown = entries.filter(pa.array(newer_than(entries, places, known)))
                if unknown.num_rows:
                    found.unknown.append(unknown)
                for run_id, claimed in own.items():
                    owned = pc.equal(known.column("owner").cast(pa.string()), run_id)
                    claimed.add(newest(known.select(ENTRIES.names).filter(owned)).entries)
    found.windows = windows_of_slices(slices, families, seconds)
    for run_id, claimed in own.items():
        found.claims[run_id] = windows_of_slices(claimed, families, seconds)
    return found


def _hashes(entries: pa.RecordBatch) -> tuple[Words, Words]:
    high, low = (np.asarray(entries.column(name)) for name in ENTRIES.names[:2])
    return high, low


def _right(seen: pa.RecordBatch, places: Ints, known: pa.RecordBatch) -> pa.RecordBatch:
    """The newest entry of each reading: the one that was seen, or one of the index."""
    beaten = np.zeros(seen.num_rows, bool)
    beaten[places[compared(seen, places, known) < 0]] = True
    if not beaten.any():
        return seen
    others = known.select(ENTRIES.names).filter(pa.array(beaten[places]))
    return joined([seen.filter(pa.array(~beaten)), newest(others).entries])


def _indexed(index: Index, shard: Shard, times: tuple[int, int]) -> pa.RecordBatch:
    """The newest entries of the index with event times in a span, in a range of hashes."""
    found = [NOTHING]
    for file in index.mapped(shard.low, shard.high):
        first, last = file.file.first, file.file.last
        # A file without times holds nothing but deletions.
        if first is not None and last is not None and first < times[1] and last >= times[0]:
            rows = file.between(shard.low, shard.high).select(ENTRIES.names)
            moments = np.asarray(rows.column("event_time").view(pa.int64()))
            inside = (moments >= times[0]) & (moments < times[1])
            inside &= ~rows.column("deleted").to_numpy(zero_copy_only=False)
            found.append(rows.take(pa.array(np.flatnonzero(inside))))
    return newest(joined(found)).entries


def _not_among(seen: pa.RecordBatch, entries: pa.RecordBatch) -> pa.RecordBatch:
    """The entries of readings that were not seen; both are in the order of identities."""
    if seen.num_rows == 0:
        return entries
    high, low = _hashes(entries)
    seen_high, seen_low = _hashes(seen)
    among = np.zeros(len(high), bool)
    left = np.arange(len(high))
    place = np.searchsorted(seen_high, high)
    # Mostly one row has the hash, and the first look finds it.
    while len(left):
        here = np.minimum(place[left], seen.num_rows - 1)
        inside = (place[left] < seen.num_rows) & (seen_high[here] == high[left])
        left, here = left[inside], here[inside]
        same = seen_low[here] == low[left]
        among[left[same]] = True
        left = left[~same]
        place[left] += 1
    return entries.filter(pa.array(~among))

"""Windows as the archive makes them, of the newest version of each of its readings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.archive_entries import Arrived, entries_between
from connectors.local_store.entry_shards import EntryShards
from connectors.local_store.from_index import windows_of_slices
from connectors.local_store.index import Index, Mapped
from connectors.local_store.means_files import ALL_STATISTICS
from connectors.local_store.records import StoredFile
from connectors.local_store.waiting import newer_than
from schemas.entries import ENTRIES
from transforms.slices import SliceAccumulator
from transforms.versions import joined, newest
from transforms.windows import SlidingWindow, slice_seconds

__all__ = ["Truth", "archive_in", "truth"]


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
        whole_index: count readings that the index has and the archive has not.
        streams: runs whose own entries are asked for.

    Raises:
        StoreError: a file is missing or damaged.
    """
    seconds = slice_seconds(families)
    times = span[0], span[1] + max(family.size for family in families) * 1_000_000
    slices = SliceAccumulator(seconds, ALL_STATISTICS)
    own = {run_id: SliceAccumulator(seconds, ALL_STATISTICS) for run_id in streams}
    found = Truth(None)
    with EntryShards(folder) as shards:
        for file in archive_in(archive, times):
            for entries in entries_between(folder, file, times, arrived):
                shards.add(newest(entries).entries)
        if whole_index:
            for entries in _indexed_between(index, times):
                shards.add(entries)
        for shard in shards:
            seen = newest(shard).entries
            places, known = index.find(
                np.asarray(seen.column("identity_high")), np.asarray(seen.column("identity_low"))
            )
            both = newest(joined([seen, known.select(ENTRIES.names)])).entries
            slices.add(both)
            unknown = seen.filter(pa.array(newer_than(seen, places, known)))
            if unknown.num_rows:
                found.unknown.append(unknown)
            for run_id, claimed in own.items():
                owned = pc.equal(known.column("owner").cast(pa.string()), run_id)
                claimed.add(newest(known.select(ENTRIES.names).filter(owned)).entries)
    found.windows = windows_of_slices(slices, families, seconds)
    for run_id, claimed in own.items():
        found.claims[run_id] = windows_of_slices(claimed, families, seconds)
    return found


def _indexed_between(index: Index, times: tuple[int, int]) -> list[pa.RecordBatch]:
    """Entries of the index with event times in a span."""
    found = []
    for file in index.files:
        if file.first is None or file.last is None:
            continue  # nothing but deletions
        if file.first < times[1] and file.last >= times[0]:
            rows = Mapped(index.folder, file).rows
            moments = np.asarray(rows.column("event_time").view(pa.int64()))
            inside = (moments >= times[0]) & (moments < times[1])
            inside &= ~rows.column("deleted").to_numpy(zero_copy_only=False)
            if inside.any():
                found.append(rows.select(ENTRIES.names).take(pa.array(np.flatnonzero(inside))))
    return found

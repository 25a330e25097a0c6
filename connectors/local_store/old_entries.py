"""Which readings the store can forget altogether, when their values are dropped.

An entry of the index is needed as long as an older version of its reading may be counted instead:
one that lies in what is kept. Of a reading without versions none does, for the greatest event time
wins. For the others, and for deletions, the archive is asked whether it keeps a version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from connectors.local_store.archive_entries import read_archive
from connectors.local_store.archive_merging import rewritten
from connectors.local_store.dates import DELETIONS, day_of
from connectors.local_store.index import Index, hash_ranges, write_indexed
from connectors.local_store.index_merge import useful
from connectors.local_store.merging import Replacement
from connectors.local_store.records import IndexFile, StoredFile
from schemas.reading import VersionKind
from transforms.identity import identities
from transforms.spans import Bools, Ints, Words
from transforms.versions import joined

__all__ = ["Forgotten", "forget"]

MOST_ASKED = 1 << 24
"""Readings that the archive is asked about at one time, 400 MB; others are kept until next time."""

IDENTITY = ["format", "id", "sensor_id", "quantity", "event_time", "longitude", "latitude"]


@dataclass
class Forgotten:
    """What the store can do without.

    Attributes:
        index: the files that the index then has, all of one segment; None where nothing changes.
        entries: how many entries are gone.
        deletions: files of deletions, written anew without those that are gone.
    """

    index: list[IndexFile] | None = None
    entries: int = 0
    deletions: list[Replacement] = field(default_factory=list)


def forget(
    folder: Path,
    index: Index,
    archive: Sequence[StoredFile],
    horizon: int,
    alive: Collection[str],
    segment: int,
) -> Forgotten:
    """Finds what can be forgotten, and writes what is left.

    Args:
        folder: the store's folder.
        index: the index.
        archive: the files of the archive, which holds all readings since the horizon.
        horizon: what is older was dropped; microseconds since the epoch.
        alive: streams that may commit again.
        segment: the number of the new segment of the index.

    Raises:
        StoreError: a file is damaged or cannot be written.
    """
    old = list(_old_deletions(folder, archive, horizon))
    asked = [(high, low) for _, _, high, low in old]
    for hashes in _doubtful(index, horizon):
        if sum(len(high) for high, _ in asked) < MOST_ASKED:
            asked.append(hashes)
    versions = _Versions(asked)
    if versions:
        for file in archive:
            for rows in read_archive(folder, file, [*IDENTITY, "deleted", "ingested_at"]):
                versions.note(rows.filter(pa.array(_lasting(rows, horizon))))
    found = Forgotten()
    for file, rows, high, low in old:
        gone = rows[~versions.has(high, low)]
        if len(gone):
            found.deletions.append(rewritten(folder, DELETIONS, [file], {file: gone}))
    _thin_index(folder, index, horizon, versions, alive, segment, found)
    return found


class _Versions:
    """Readings of which it is asked whether the archive keeps a version."""

    def __init__(self, hashes: Sequence[tuple[Words, Words]]) -> None:
        high = np.concatenate([np.empty(0, np.uint64), *(pair[0] for pair in hashes)])
        low = np.concatenate([np.empty(0, np.uint64), *(pair[1] for pair in hashes)])
        order = np.lexsort((low, high))
        self._high, self._low = high[order], low[order]
        self._kept = np.zeros(len(order), bool)

    def __len__(self) -> int:
        return len(self._high)

    def note(self, rows: pa.RecordBatch) -> None:
        """Takes rows of the archive that are kept."""
        if rows.num_rows:
            for places in self._places(*identities(rows)):
                self._kept[places[places >= 0]] = True

    def has(self, high: Words, low: Words) -> Bools:
        """Whether the archive keeps a version of readings; True for those that nobody asked of."""
        known, kept = np.zeros(len(high), bool), np.zeros(len(high), bool)
        for places in self._places(high, low):
            there = places >= 0
            known |= there
            kept[there] |= self._kept[places[there]]
        result: Bools = kept | ~known
        return result

    def _places(self, high: Words, low: Words) -> Iterator[Ints]:
        """For each of the hashes a place that has the same; again while some have another one."""
        place = np.searchsorted(self._high, high, "left")
        end = np.searchsorted(self._high, high, "right")
        while (place < end).any():
            here = np.minimum(place, len(self._high) - 1)
            same = (place < end) & (self._low[here] == low)
            yield np.where(same, here, -1)
            place = place + 1


def _lasting(rows: pa.RecordBatch, horizon: int) -> Bools:
    """Rows of the archive that are kept: by event time, and deletions by when they came."""
    times = rows.column("event_time").view(pa.int64())
    came = np.asarray(rows.column("ingested_at").view(pa.int64()))
    deleted = rows.column("deleted").to_numpy(zero_copy_only=False)
    lasting: Bools = np.where(deleted, came, np.asarray(times.fill_null(0))) >= horizon
    return lasting


def _old_deletions(
    folder: Path, archive: Sequence[StoredFile], horizon: int
) -> Iterator[tuple[StoredFile, Ints, Words, Words]]:
    """Deletions that came before the horizon: file, rows, and the hashes of their readings."""
    for file in archive:
        if day_of(file.path) != DELETIONS:
            continue
        rows, high, low, begin = [], [], [], 0
        for batch in read_archive(folder, file, [*IDENTITY, "deleted", "ingested_at"]):
            old = np.flatnonzero(~_lasting(batch, horizon))
            hashes = identities(batch.take(pa.array(old)))
            rows.append(old + begin)
            high.append(hashes[0])
            low.append(hashes[1])
            begin += batch.num_rows
        if any(len(part) for part in rows):
            yield file, np.concatenate(rows), np.concatenate(high), np.concatenate(low)


def _doubtful(index: Index, horizon: int) -> Iterator[tuple[Words, Words]]:
    """Hashes of readings that are old, and of which an older version may be kept."""
    for rows in _ranges(index):
        old, deleted, doubtful = _old(rows, horizon)
        chosen = np.flatnonzero(old & (deleted | doubtful))
        high, low = (np.asarray(rows.column(name))[chosen] for name in rows.schema.names[:2])
        yield high, low


def _ranges(index: Index) -> Iterator[pa.RecordBatch]:
    """The entries of the index, range by range of hashes."""
    for low, high in hash_ranges(index.rows):
        parts = [part for file in index.mapped(low, high) if len(part := file.between(low, high))]
        if parts:
            yield joined(parts)


def _old(rows: pa.RecordBatch, horizon: int) -> tuple[Bools, Bools, Bools]:
    """Which entries say nothing of what is kept; which are deletions; which have versions."""
    deleted = rows.column("deleted").to_numpy(zero_copy_only=False)
    times = np.asarray(rows.column("event_time").view(pa.int64()))
    versions = np.asarray(rows.column("version_kind")) != VersionKind.NONE
    return deleted | (times < horizon), deleted, versions


def _thin_index(
    folder: Path,
    index: Index,
    horizon: int,
    versions: _Versions,
    alive: Collection[str],
    segment: int,
    found: Forgotten,
) -> None:
    """Writes the index anew without the readings of which all entries are old."""
    written: list[IndexFile] = []
    gone = 0
    for rows in _ranges(index):
        old, deleted, doubtful = _old(rows, horizon)
        high, low = (np.asarray(rows.column(name)) for name in rows.schema.names[:2])
        forgotten = old.copy()
        asked = np.flatnonzero(old & (deleted | doubtful))
        forgotten[asked] = ~versions.has(high[asked], low[asked])
        # A reading goes as a whole, or not at all: hashes of 64 bits tell well enough.
        kept = np.isin(high, high[~forgotten])
        gone += rows.num_rows - int(kept.sum())
        left = rows.filter(pa.array(kept))
        if left.num_rows:
            written += write_indexed(folder, useful(left, alive), segment)
    if gone:
        found.index, found.entries = written, gone

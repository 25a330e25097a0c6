"""Readings of the archive that no window holds: they came too late, or their run had forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.archive_entries import (
    CONTENT,
    OF_THE_RUN,
    Arrived,
    entries_of_rows,
    read_archive,
)
from connectors.local_store.entry_shards import EntryShards
from connectors.local_store.index import Index
from connectors.local_store.records import StoredFile
from transforms.spans import Bools, Ints
from transforms.versions import comparable, newest

__all__ = ["Waiting", "compared", "find_waiting", "newer_than"]


@dataclass
class Waiting:
    """What was found.

    Attributes:
        entries: batches of `ENTRIES`, the newest of each reading, in the order of identities.
        cleared: files of which no reading waits any more, once the entries are counted.
    """

    entries: list[pa.RecordBatch] = field(default_factory=list)
    cleared: list[StoredFile] = field(default_factory=list)


def find_waiting(
    folder: Path,
    files: Sequence[StoredFile],
    index: Index,
    span: tuple[int, int] | None,
    arrived: Arrived,
    group_by: str,
) -> Waiting:
    """Finds readings that the index does not know in their newest version.

    Args:
        folder: the store's folder.
        files: files of the archive to look into.
        index: the index.
        span: event times in microseconds, the second not included: only readings count that lie
            in it, or that the windows have there now. All by default.
        arrived: which rows count.
        group_by: what means are grouped by.

    Raises:
        StoreError: a file is missing or damaged.
    """
    found = Waiting()
    with EntryShards(folder) as shards:
        settled: list[StoredFile] = []
        waits: list[StoredFile] = []
        for file in files:
            arriving = waiting = 0
            for rows in read_archive(folder, file, [*CONTENT, *OF_THE_RUN]):
                counted = arrived.mask(rows)
                arriving += int(np.count_nonzero(~counted))
                for entries in entries_of_rows(rows.filter(pa.array(counted)), group_by):
                    unknown = _unknown(newest(entries).entries, index)
                    waiting += unknown.num_rows
                    shards.add(unknown)
            if not arriving:
                (waits if waiting else settled).append(file)
        left = 0
        for shard in shards:
            entries, others = _touching(shard.entries, index, span)
            left += others
            if entries.num_rows:
                found.entries.append(entries)
    found.cleared = settled if left else [*settled, *waits]
    return found


def _unknown(entries: pa.RecordBatch, index: Index) -> pa.RecordBatch:
    """The entries that are newer than those in the index."""
    places, known = _found(entries, index)
    return entries.filter(pa.array(newer_than(entries, places, known)))


def _found(entries: pa.RecordBatch, index: Index) -> tuple[Ints, pa.RecordBatch]:
    high, low = (np.asarray(entries.column(name)) for name in entries.schema.names[:2])
    return index.find(high, low)


def _touching(
    waiting: pa.RecordBatch, index: Index, span: tuple[int, int] | None
) -> tuple[pa.RecordBatch, int]:
    """The newest entries of readings of which any version lies in the span, or is counted there.

    Args:
        waiting: all entries that wait, of a range of hashes.
        index: the index.
        span: event times; None for all.

    Returns:
        The entries, and how many others there are.
    """
    entries = newest(waiting).entries
    if span is None or entries.num_rows == 0:
        return entries, 0
    places, known = _found(entries, index)
    touches = np.zeros(entries.num_rows, bool)
    touches[places[_inside(known, span)]] = True
    # Not the newest version alone: it may be a deletion, or have moved away.
    inside = np.asarray(waiting.column("identity_high"))[_inside(waiting, span)]
    touches |= np.isin(np.asarray(entries.column("identity_high")), inside)
    return entries.filter(pa.array(touches)), int(np.count_nonzero(~touches))


def newer_than(entries: pa.RecordBatch, places: Ints, known: pa.RecordBatch) -> Bools:
    """Which entries are newer than all that are known of their readings.

    Args:
        entries: of schema `ENTRIES`.
        places: for each known entry, the row of the reading among the entries.
        known: at least the columns of `ENTRIES`.
    """
    newer = np.ones(entries.num_rows, bool)
    newer[places[compared(entries, places, known) <= 0]] = False
    return newer


def compared(entries: pa.RecordBatch, places: Ints, known: pa.RecordBatch) -> Ints:
    """For each known entry 1 where the other is newer, -1 where it is older, 0 where equal.

    Args:
        entries: of schema `ENTRIES`.
        places: for each known entry, the row of the other one.
        known: at least the columns of `ENTRIES`.
    """
    sign = np.zeros(len(places), np.int64)
    if len(places):
        lefts = comparable(entries.take(pa.array(places)))[2:]
        rights = comparable(known)[2:]
        undecided = np.arange(len(places))
        for left, right in zip(lefts, rights, strict=True):
            one, other = left[undecided], right[undecided]
            differs = one != other
            decided = undecided[differs]
            sign[decided] = np.where(one[differs] > other[differs], 1, -1)
            undecided = undecided[~differs]
    return sign


def _inside(entries: pa.RecordBatch, span: tuple[int, int]) -> Bools:
    """Which entries are of readings with an event time in the span."""
    times = entries.column("event_time").view(pa.int64())
    inside = pc.and_(pc.greater_equal(times, span[0]), pc.less(times, span[1]))
    inside = pc.and_not(inside, entries.column("deleted"))
    found: Bools = inside.to_numpy(zero_copy_only=False)
    return found

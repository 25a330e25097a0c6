"""Merges segments of the index of like size, so that a look-up asks few of them.

A log-structured merge (O'Neil et al. 1996): segments are dealt into tiers by their size, and when
a tier has more than `MOST`, all of it becomes one segment. So each entry is written again a
logarithmic number of times. The merge goes from one range of hashes to the next: what it holds in
memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from connectors.local_store.index import (
    INDEXED,
    Index,
    hash_ranges,
    segments_of,
    write_indexed,
)
from connectors.local_store.records import IndexFile
from transforms.spans import Bools
from transforms.versions import joined, version_order

__all__ = [
    "MOST",
    "crowded",
    "is_one_segment",
    "merge_into_one",
    "merge_segments",
    "next_segment",
    "useful",
]

MOST = 8
"""Segments that a tier may have; also how much larger the next tier's segments are."""

SMALLEST = 4096
"""Rows up to which a segment is in the lowest tier."""


def next_segment(files: Sequence[IndexFile]) -> int:
    """A number that no segment has."""
    return 1 + max((file.segment for file in files), default=-1)


def is_one_segment(files: Sequence[IndexFile]) -> bool:
    """Whether files follow each other without overlap."""
    ordered = sorted(files, key=lambda file: file.low)
    return all(one.high < other.low for one, other in pairwise(ordered))


def merge_segments(
    folder: Path,
    files: Sequence[IndexFile],
    running: Collection[str],
    most_rows: int | None = None,
) -> tuple[list[IndexFile], list[IndexFile]]:
    """Merges what is to be merged.

    Args:
        folder: the store's folder.
        files: the files of the index.
        running: runs that may bring more entries.
        most_rows: leave what is more as it is; None for no bound.

    Returns:
        The files of the index afterwards; and those that are no longer part of it, or were made on
        the way.

    Raises:
        StoreError: a file cannot be read or written.
    """
    files = list(files)
    replaced: list[IndexFile] = []
    while too_many := crowded(files, most_rows):
        segment = next_segment(files)
        files = [file for file in files if file not in too_many]
        files += merge_into_one(folder, too_many, segment, running)
        replaced += too_many
    named = {file.path for file in files}
    return files, [file for file in replaced if file.path not in named]


def crowded(files: Sequence[IndexFile], most_rows: int | None = None) -> list[IndexFile]:
    """The files of the lowest tier with too many segments.

    Args:
        files: the files of the index.
        most_rows: do not look at tiers with more; None for no bound.
    """
    tiers: dict[int, list[list[IndexFile]]] = {}
    for segment in segments_of(files):
        rows = sum(file.rows for file in segment)
        tier = 0
        while rows > SMALLEST * MOST**tier:
            tier += 1
        tiers.setdefault(tier, []).append(segment)
    for tier in sorted(tiers):
        found = [file for segment in tiers[tier] for file in segment]
        few = most_rows is None or sum(file.rows for file in found) <= most_rows
        if len(tiers[tier]) > MOST and few:
            return found
    return []


def merge_into_one(
    folder: Path,
    files: Sequence[IndexFile],
    segment: int,
    running: Collection[str],
    stopped: Callable[[], bool] = lambda: False,
) -> list[IndexFile]:
    """Writes what files of the index hold to one segment.

    Args:
        folder: the store's folder.
        files: the files.
        segment: the number of the new segment.
        running: runs that may bring more entries.
        stopped: asked now and then, says whether the segment is not wanted any more.

    Returns:
        The files of the segment; without some if it is not wanted.

    Raises:
        StoreError: a file cannot be read or written.
    """
    index = Index(folder, files)
    merged: list[IndexFile] = []
    for low, high in hash_ranges(index.rows):
        if stopped():
            break
        parts = [part for file in index.mapped(low, high) if len(part := file.between(low, high))]
        if parts:
            rows = joined(parts)
            merged += write_indexed(folder, useful(rows, running), segment)
    return merged


def useful(rows: pa.RecordBatch, running: Collection[str]) -> pa.RecordBatch:
    """The entries that can still decide something, in the order of their identities.

    These are the newest of each reading, and of each running run the newest that it brought.

    Args:
        rows: of schema `INDEXED`.
        running: runs that may bring more entries.
    """
    order, last, _ = version_order(rows)
    if last.all():
        return rows.take(pa.array(order))
    owners = rows.column("owner")
    alive = np.array([name in running for name in owners.dictionary.to_pylist()], bool)
    # Where a reading has one entry, that is the newest.
    several = ~last
    several[1:] |= ~last[:-1]
    asked = np.flatnonzero(several & alive[np.asarray(owners.indices)[order]])
    last[asked] |= _newest_of_owner(rows.take(pa.array(order[asked])))
    return rows.take(pa.array(order[last]))


def _newest_of_owner(rows: pa.RecordBatch) -> Bools:
    """By row, in the order of versions: whether no later one has the same reading and owner."""
    owners = np.asarray(rows.column("owner").indices)
    high, low = (np.asarray(rows.column(name)) for name in INDEXED.names[:2])
    by_owner = np.lexsort((np.arange(len(owners)), owners, low, high))
    follows = np.ones(max(len(owners) - 1, 0), bool)
    for column in (high, low, owners):
        ordered = column[by_owner]
        follows &= ordered[1:] == ordered[:-1]
    newest = np.ones(len(owners), bool)
    newest[by_owner[:-1]] = ~follows
    return newest

"""The new entries of a run: settled with the index, range by range, and added to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from connectors.local_store.index import (
    FILE_ROWS,
    Index,
    hash_ranges,
    write_indexed,
)
from connectors.local_store.index_merge import is_one_segment
from connectors.local_store.mapped import Mapped
from connectors.local_store.means_files import ALL_STATISTICS
from connectors.local_store.records import IndexFile
from connectors.local_store.settle import settle
from transforms.slices import SliceAccumulator
from transforms.versions import joined, version_order

__all__ = ["Settled", "in_order", "settle_entries"]


@dataclass
class Settled:
    """What the settlement of all of a commit's entries comes to.

    Attributes:
        left, displaced, cancelled, difference: see `settle.Settlement`, by key and slice.
        counted: of a stream that has displaced something, the entries by which its own rows will
            change.
        changes: the change of the run's balance.
        files: the files that the index gains: one segment.
        known: entries that the index had of the same readings.
    """

    left: SliceAccumulator
    displaced: SliceAccumulator
    cancelled: SliceAccumulator
    difference: SliceAccumulator
    counted: SliceAccumulator
    changes: Counter[str] = field(default_factory=Counter)
    files: list[IndexFile] = field(default_factory=list)
    known: int = 0


def settle_entries(
    folder: Path,
    index: Index,
    files: Sequence[IndexFile],
    owner: str,
    segment: int,
    slice_seconds: int,
    *,
    ended: bool,
    difference: bool = True,
) -> Settled:
    """Settles a run's new entries with the index.

    Args:
        folder: the store's folder.
        index: the index before the commit.
        files: the files that the run's workers have written.
        owner: the run.
        segment: the number of the index's new segment.
        slice_seconds: length of the slices into which the settlement is reduced.
        ended: the run will bring no more entries.
        difference: whether the difference is asked for; else it is empty.

    Raises:
        StoreError: a file cannot be read or written.
    """
    left, displaced, cancelled, missing, counted = (
        SliceAccumulator(slice_seconds, ALL_STATISTICS) for _ in range(5)
    )
    result = Settled(left, displaced, cancelled, missing, counted)
    pending: list[pa.RecordBatch] = []
    own: list[pa.RecordBatch] = []
    has_displaced = False

    def flush() -> None:
        if pending:
            result.files += write_indexed(folder, joined(pending), segment)
            pending.clear()

    for new, file in _ranges(folder, files):
        places, found = index.find(
            new.column("identity_high").to_numpy(), new.column("identity_low").to_numpy()
        )
        result.known += found.num_rows
        settlement = settle(new, owner, places, found, ended=ended, difference=difference)
        result.left.add(settlement.left)
        result.displaced.add(settlement.displaced)
        result.cancelled.add(settlement.cancelled)
        result.difference.add(settlement.difference)
        result.changes.update(settlement.changes)
        has_displaced |= settlement.displaced.num_rows > 0
        if not ended:
            own.append(settlement.kept)
        needed = settlement.kept.num_rows
        if file is not None and _can_stay(file, settlement.kept, ended=ended):
            flush()
            result.files.append(replace(file, segment=segment))
        elif needed:
            pending.append(settlement.kept)
            if sum(part.num_rows for part in pending) >= FILE_ROWS:
                flush()
    flush()
    if has_displaced:
        for kept in own:
            result.counted.add(kept)
    return result


def _can_stay(file: IndexFile, kept: pa.RecordBatch, *, ended: bool) -> bool:
    """Whether a worker's file can be a file of the index as it is."""
    if ended:
        # Entries that are of no use do no harm, and go with the next merge.
        return 2 * kept.num_rows >= file.rows
    return kept.num_rows == file.rows and not np.asarray(kept.column("standing")).any()


def _ranges(
    folder: Path, files: Sequence[IndexFile]
) -> Iterator[tuple[pa.RecordBatch, IndexFile | None]]:
    """The entries in the order of their hashes; with the file, where they are all of one."""
    ordered = sorted(files, key=lambda file: file.low)
    if is_one_segment(ordered):
        for file in ordered:
            yield Mapped(folder, file).rows, file
        return
    new = Index(folder, ordered)
    for low, high in hash_ranges(new.rows):
        parts = [part for file in new.mapped(low, high) if len(part := file.between(low, high))]
        if parts:
            yield in_order(joined(parts)), None


def in_order(entries: pa.RecordBatch) -> pa.RecordBatch:
    """The newest entry of each reading, in the order of the identities."""
    order, last, _ = version_order(entries)
    return entries.take(pa.array(order[last]))

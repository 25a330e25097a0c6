"""The index of entries: which run counts which version of which reading, found by identity.

A file of the index is an Arrow file of one batch, uncompressed, its rows in the order of the
identities' hashes. It is mapped into memory, so a look-up reads the pages that it needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.local_store.content_files import new_file
from connectors.local_store.mapped import Mapped, Mappings
from connectors.local_store.records import INDEX, IndexFile
from schemas.entries import ENTRIES
from transforms.spans import Ints, Words
from transforms.versions import joined

__all__ = [
    "FILE_ROWS",
    "INDEXED",
    "Index",
    "as_indexed",
    "hash_ranges",
    "is_in_order",
    "segments_of",
    "write_indexed",
]

INDEXED = ENTRIES.append(
    pa.field(
        "owner",
        pa.dictionary(pa.int32(), pa.string()),
        nullable=False,
        metadata={"description": "The run that counts the entry."},
    )
).append(
    pa.field(
        "standing",
        pa.int8(),
        nullable=False,
        metadata={"description": "Beside other runs: 0 new, 1 a duplicate, 2 superseded."},
    )
)
"""Columns of a file of the index."""

NOTHING = pa.RecordBatch.from_pylist([], schema=INDEXED)

FILE_ROWS = 1 << 20
"""Entries in a file, at most: 67 MB."""

RANGE_ROWS = 1 << 19
"""Entries that are looked at together: bounds the memory."""

HASHES = 1 << 64


def as_indexed(entries: pa.RecordBatch, owner: str) -> pa.RecordBatch:
    """Entries of one run as rows of the index."""
    rows = np.zeros(entries.num_rows, np.int32)
    owners = pa.DictionaryArray.from_arrays(rows, pa.array([owner]))
    standing = pa.array(np.zeros(entries.num_rows, np.int8))
    return pa.RecordBatch.from_arrays([*entries.columns, owners, standing], schema=INDEXED)


def is_in_order(entries: pa.RecordBatch) -> bool:
    """Whether there is one entry a reading, in the order of the identities."""
    high, low = (np.asarray(entries.column(name)) for name in INDEXED.names[:2])
    rising = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))
    return bool(rising.all())


def write_indexed(folder: Path, rows: pa.RecordBatch, segment: int = 0) -> list[IndexFile]:
    """Writes rows of the index to files of at most `FILE_ROWS`.

    Args:
        folder: the store's folder.
        rows: of schema `INDEXED`, in the order of their identities.
        segment: the number of the sorted list that they belong to.

    Returns:
        The files, in the order of their rows.

    Raises:
        StoreError: a file cannot be written.
    """
    return [
        _write(folder, rows.slice(begin, FILE_ROWS), segment)
        for begin in range(0, rows.num_rows, FILE_ROWS)
    ]


def _write(folder: Path, rows: pa.RecordBatch, segment: int) -> IndexFile:
    def write(path: Path) -> int:
        with path.open("wb") as file:
            with pa.ipc.new_file(file, INDEXED) as writer:
                writer.write_batch(rows)
            file.flush()
            os.fsync(file.fileno())
        return rows.num_rows

    file = new_file(folder, INDEX, write, suffix=".arrow")
    high = np.asarray(rows.column("identity_high"))
    times = rows.column("event_time").view(pa.int64())
    if rows.column("deleted").true_count:
        times = times.filter(pc.invert(rows.column("deleted")))
    ends = pc.min_max(times).as_py()
    return IndexFile(
        INDEX,
        file.path,
        file.rows,
        file.bytes,
        file.sha256,
        first=ends["min"],
        last=ends["max"],
        low=int(high[0]),
        high=int(high[-1]),
        segment=segment,
    )


def hash_ranges(rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of `identity_high`, both ends included, with some `RANGE_ROWS` of `rows` in each.

    Hashes are spread evenly, so ranges of like width hold like numbers of them.
    """
    parts = max(1, -(-rows // RANGE_ROWS))
    for part in range(parts):
        yield HASHES * part // parts, HASHES * (part + 1) // parts - 1


class Index:
    """All files of the index at one moment.

    Args:
        folder: the store's folder.
        files: the files that the manifest names.
        mappings: those that are mapped already, and get the others.
    """

    def __init__(
        self, folder: Path, files: Sequence[IndexFile], mappings: Mappings | None = None
    ) -> None:
        self.folder, self.files = folder, tuple(files)
        self.rows = sum(file.rows for file in files)
        self._mappings = Mappings() if mappings is None else mappings

    def mapped(self, low: int, high: int) -> Iterator[Mapped]:
        """The files that may hold hashes from `low` to `high`, both included."""
        for file in self.files:
            if file.low <= high and file.high >= low:
                yield self._mappings.of(self.folder, file)

    def find(self, high: Words, low: Words) -> tuple[Ints, pa.RecordBatch]:
        """All entries of the given identities.

        Args:
            high: the upper halves of the hashes, in rising order.
            low: the lower halves, beside them.

        Returns:
            For each entry found, the place of its identity among the given ones; and the entries,
            of schema `INDEXED`. They are in no particular order.
        """
        places: list[Ints] = []
        found: list[pa.RecordBatch] = []
        if len(high):
            for mapped in self.mapped(int(high[0]), int(high[-1])):
                place, row = mapped.matches(high, low)
                if len(place):
                    places.append(place)
                    found.append(mapped.rows.take(pa.array(row)))
        if not found:
            return np.empty(0, np.int64), NOTHING
        return np.concatenate(places), joined(found)


def segments_of(files: Sequence[IndexFile]) -> list[list[IndexFile]]:
    """The files by the sorted list that they belong to, in the order of their hashes."""
    segments: dict[int, list[IndexFile]] = {}
    for file in files:
        segments.setdefault(file.segment, []).append(file)
    return [sorted(segment, key=lambda file: file.low) for segment in segments.values()]

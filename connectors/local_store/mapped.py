"""Files of the index, mapped into memory, and which hashes they may hold.

Most entries of a stream are of readings that the index does not hold. A search in each of dozens of
files says so at last; a sieve says so at once of nine in ten: a bit for every narrow range of
hashes, which is set where the file has one of them (Bloom 1970, with one function, the identity: a
hash is spread evenly already). A sieve takes one to two bytes an entry, and is made when a file has
been searched for long enough.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.local_store.errors import StoreError
from connectors.local_store.files import REMEDY, checked_path
from connectors.local_store.records import IndexFile
from transforms.spans import Ints, Words

__all__ = ["Mapped", "Mappings"]

BITS = 8
"""Bits of a sieve to an entry, at least."""

MAKING = 8
"""To make a sieve takes as long as to search for one hash to so many entries."""


class Mapped:
    """A file of the index, mapped into memory.

    Args:
        folder: the store's folder.
        file: the file.

    Raises:
        StoreError: the file is missing or damaged.
    """

    def __init__(self, folder: Path, file: IndexFile) -> None:
        self.file = file
        path = checked_path(folder, file)
        try:
            with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
                self.rows: pa.RecordBatch = reader.get_batch(0)
        except (pa.ArrowInvalid, OSError) as error:
            msg = f"{path} of the store is damaged: {error}; {REMEDY}"
            raise StoreError(msg) from error
        self.high: Words = np.asarray(self.rows.column("identity_high"))
        self.low: Words = np.asarray(self.rows.column("identity_low"))
        self._searched = 0

    def between(self, low: int, high: int) -> pa.RecordBatch:
        """The rows whose `identity_high` is at least `low` and at most `high`."""
        begin = int(np.searchsorted(self.high, np.uint64(low), "left"))
        end = int(np.searchsorted(self.high, np.uint64(high), "right"))
        return self.rows.slice(begin, end - begin)

    def matches(self, high: Words, low: Words) -> tuple[Ints, Ints]:
        """Pairs of a place among the identities and a row of the file that has the same.

        Args:
            high: the upper halves of the hashes, in rising order.
            low: the lower halves, beside them.
        """
        offset = int(np.searchsorted(high, np.uint64(self.file.low), "left"))
        end = int(np.searchsorted(high, np.uint64(self.file.high), "right"))
        places = offset + self._may_hold(high[offset:end])
        wanted = high[places]
        first = np.searchsorted(self.high, wanted, "left")
        last = len(self.high) - 1
        hits = np.flatnonzero(self.high[np.minimum(first, last)] == wanted)
        places, wanted, first = places[hits], wanted[hits], first[hits]
        # Mostly one row has the hash.
        count = np.ones(len(hits), np.int64)
        more = np.flatnonzero(self.high[np.minimum(first + 1, last)] == wanted)
        more = more[first[more] < last]
        count[more] = np.searchsorted(self.high, wanted[more], "right") - first[more]
        place = np.repeat(places, count)
        row = np.repeat(first - (np.cumsum(count) - count), count) + np.arange(len(place))
        same = self.low[row] == low[place]
        return place[same], row[same]

    def _may_hold(self, hashes: Words) -> Ints:
        """The places of those of some hashes that the file may hold: it holds no others."""
        self._searched += len(hashes)
        if self._searched * MAKING < len(self.high):
            return np.arange(len(hashes))
        bits, slots = self._sieve, self._slots(hashes)
        found: Ints = np.flatnonzero(bits[slots >> 3] >> (slots & 7).astype(np.uint8) & 1)
        return found

    @functools.cached_property
    def _sieve(self) -> npt.NDArray[np.uint8]:
        held = np.zeros(int(self._slots(self.high[-1:])[0]) + 1, bool)
        held[self._slots(self.high)] = True
        return np.packbits(held, bitorder="little")

    def _slots(self, hashes: Words) -> Ints:
        """The numbers of the ranges that hashes of the file's range lie in."""
        width = self.file.high - self.file.low
        shift = max(0, width.bit_length() - (BITS * len(self.high)).bit_length())
        slots: Ints = ((hashes - np.uint64(self.file.low)) >> np.uint64(shift)).astype(np.int64)
        return slots


class Mappings:
    """Files of the index that stay mapped from one use of it to the next."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[int, Mapped]] = {}

    def of(self, folder: Path, file: IndexFile) -> Mapped:
        """A file, mapped now or before.

        Raises:
            StoreError: the file is missing or damaged.
        """
        written = checked_path(folder, file).stat().st_mtime_ns
        known = self._files.get(file.path)
        if known is None or known[0] != written:
            # Nobody writes a file again: one that was is looked at again.
            known = self._files[file.path] = written, Mapped(folder, file)
        return known[1]

    def keep(self, files: Iterable[IndexFile]) -> None:
        """Lets go of all others: what is deleted must not fill the disk."""
        paths = {file.path for file in files}
        self._files = {path: known for path, known in self._files.items() if path in paths}

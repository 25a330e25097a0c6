"""Numbered rows, appended at the end and let go at the front; what is full of them lies on disk.

Rows stand in segments. The last one, which is filled, is in memory. The others are parts of files
that are mapped: the system keeps of them in memory what is asked for, while there is room. The
files have no name, so they are gone with the process.
"""

from __future__ import annotations

import functools
import logging
import mmap
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from transforms.packed_rows import ROW, Rows, words_of
from transforms.spans import Bools, Ints, Words

__all__ = ["RowLog"]

BITS = 17
"""A segment has two to the power of this rows: 8 MB."""
SEGMENTS = 16
"""Of a file: each that is mapped is an open one, of which a process may have a thousand."""
GROWTH = 1.25
LEAST = 64

_log = logging.getLogger(__name__)


@dataclass
class _Segment:
    """Rows, the first `size` of which count, and bounds of their arrivals.

    Attributes:
        earliest: no row came earlier.
        appended: no row was appended with a later arrival.
        latest: no row has a later arrival.
        mapped: it lies in a file.
    """

    rows: Rows
    size: int
    earliest: int
    appended: int
    latest: int
    mapped: bool = False


class _File:
    """A file that is mapped, for some segments; it is gone with the last of them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="versions-")  # noqa: SIM115 - as long as this
        size = SEGMENTS * ROW.itemsize << BITS
        self._file.truncate(size)
        self._map = mmap.mmap(self._file.fileno(), size)
        self.filled = 0

    def add(self, rows: Rows) -> Rows:
        """The rows in the file. They are written, not copied: a full disk is then an `OSError`."""
        begin = self._file.seek(self.filled * rows.nbytes)
        self._file.write(rows.view(np.uint8).data)
        self._file.flush()
        self.filled += 1
        return np.frombuffer(self._map, ROW, len(rows), begin)


class RowLog:
    """Rows of `ROW` by number.

    Attributes:
        first: no row with a lower number is there.
        end: the number after the last row.
    """

    def __init__(self) -> None:
        self._segments: list[_Segment | None] = []
        self._there = np.zeros(0, bool)
        self.first = self.end = 0
        self._file: _File | None = None

    def __len__(self) -> int:
        return sum(segment.size for _, segment in self._held())

    @property
    def nbytes(self) -> int:
        """Bytes of rows in memory: without those in files."""
        return sum(segment.rows.nbytes for _, segment in self._held() if not segment.mapped)

    def append(self, rows: Rows) -> int:
        """Appends rows; gives the number of the first, which the others follow."""
        first, begin = self.end, 0
        while begin < len(rows):
            segment, room = self._last()
            some = rows[begin : begin + room]
            size = segment.size + len(some)
            if size > len(segment.rows):
                segment.rows = _with_room(segment.rows[: segment.size], size)
            words_of(segment.rows)[segment.size : size] = words_of(some)
            segment.size = size
            arrival = some["arrival"]
            segment.earliest = min(segment.earliest, int(arrival.min()))
            segment.appended = max(segment.appended, int(arrival.max()))
            segment.latest = max(segment.latest, segment.appended)
            self.end += len(some)
            begin += len(some)
            if size == 1 << BITS:
                self._to_disk(segment)
        return first

    def take(self, numbers: Ints) -> Rows:
        """Copies of the rows of these numbers, which must be there."""
        found = np.empty(len(numbers), ROW)
        for segment, chosen, places in self._by_segment(numbers):
            words_of(found)[chosen] = words_of(segment.rows).take(places, axis=0)
        return found

    def put(self, numbers: Ints, rows: Rows) -> None:
        """Replaces the rows of these numbers, which must be there."""
        words = words_of(rows)
        for segment, chosen, places in self._by_segment(numbers):
            words_of(segment.rows)[places] = words[chosen]
            arrival = rows["arrival"][chosen]
            segment.earliest = min(segment.earliest, int(arrival.min()))
            segment.latest = max(segment.latest, int(arrival.max()))

    def keys_of(self, numbers: Ints) -> tuple[Words, Words]:
        """See `transforms.hash_index.Keys`."""
        rows = self.take(numbers)
        return rows["high"], rows["low"]

    def has(self, numbers: Ints) -> Bools:
        """See `transforms.hash_index.Keys`."""
        there: Bools = self._there[numbers >> BITS]
        return there

    def all(self) -> Iterator[Rows]:
        """All rows in their order, in pieces, where they lie."""
        for _, segment in self._held():
            yield segment.rows[: segment.size]

    def earliest(self, after: int) -> int | None:
        """The earliest arrival, or one before it, of rows that came after a second; None for none.

        It must not be too early where there are gaps: a timer that goes by it would fire for
        nothing through all of them.
        """
        bounds = []
        for _, segment in self._held():
            if segment.latest <= after:
                continue
            if segment.earliest <= after:
                arrival = segment.rows["arrival"][: segment.size]
                segment.earliest = int(arrival[arrival > after].min())
            bounds.append(segment.earliest)
        return min(bounds, default=None)

    def forget(self, until: int) -> Rows:
        """Lets rows go that arrived up to a second, if all that was appended with them did so, too.

        Returns:
            Those among them that have a later arrival: they were replaced since. To be kept they
            must be appended again.
        """
        found = [np.empty(0, ROW)]
        for number, segment in list(self._held()):
            if segment.appended > until:
                continue
            if segment.latest > until:
                rows = segment.rows[: segment.size]
                found.append(rows.take(np.flatnonzero(rows["arrival"] > until)))
            self._segments[number], self._there[number] = None, False
        if self._segments and self._segments[-1] is None:
            self.end = len(self._segments) << BITS
        self.first = next((number << BITS for number, _ in self._held()), self.end)
        return np.concatenate(found)

    def _to_disk(self, segment: _Segment) -> None:
        """Moves a full segment to a file; it stays in memory where there is no room for one."""
        try:
            if self._file is None:
                self._file = _File()
            segment.rows = self._file.add(segment.rows)
            segment.mapped = True
            if self._file.filled == SEGMENTS:
                self._file = None
        except OSError as error:
            self._file = None
            where = tempfile.gettempdir()
            _warn(f"versions stay in memory: {where}: {error.strerror or error}")

    def _held(self) -> Iterator[tuple[int, _Segment]]:
        for number, segment in enumerate(self._segments):
            if segment is not None:
                yield number, segment

    def _last(self) -> tuple[_Segment, int]:
        """The segment to fill, and how many rows may follow."""
        number, taken = self.end >> BITS, self.end & ((1 << BITS) - 1)
        if number == len(self._segments):
            self._segments.append(_Segment(np.empty(0, ROW), 0, 1 << 32, 0, 0))
            self._there = np.append(self._there, True)
        segment = self._segments[number]
        assert segment is not None  # noqa: S101 - `forget` ends it if it lets it go
        return segment, (1 << BITS) - taken

    def _by_segment(self, numbers: Ints) -> Iterator[tuple[_Segment, Ints | slice, Ints]]:
        """The segments of rows: which of the rows each has, and their places in it."""
        if not len(numbers):
            return
        of = numbers >> BITS
        places = numbers & ((1 << BITS) - 1)
        if of.min() == of.max():
            yield self._segment(int(of[0])), slice(None), places
            return
        order = np.argsort(of, kind="stable")
        found, begins = np.unique(of[order], return_index=True)
        for number, chosen in zip(found.tolist(), np.split(order, begins[1:]), strict=True):
            yield self._segment(number), chosen, places[chosen]

    def _segment(self, number: int) -> _Segment:
        segment = self._segments[number]
        assert segment is not None  # noqa: S101 - the caller has asked whether it is there
        return segment


def _with_room(rows: Rows, size: int) -> Rows:
    """The rows, and room after them for a quarter more than the size."""
    store = np.empty(min(int(GROWTH * size) + LEAST, 1 << BITS), ROW)
    words_of(store)[: len(rows)] = words_of(rows)
    return store


@functools.cache
def _warn(text: str) -> None:
    """Says it once."""
    _log.warning("%s", text)

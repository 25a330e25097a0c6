"""Entries as rows of 64 bytes: what a stream shuffles by identity and keeps in its state.

An Arrow batch of a few hundred rows costs more to write and read than its rows do. These are plain
bytes: a format number, the names of the series, and the rows as they lie in memory.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from transforms.spans import Words

__all__ = [
    "DELETED",
    "NOWHERE",
    "NO_POSITION",
    "PLACED",
    "ROW",
    "Name",
    "Packed",
    "Rows",
    "Series",
    "compact",
    "header",
    "joined_packed",
    "pack",
    "unpack",
    "words_of",
]

Rows: TypeAlias = npt.NDArray[np.void]
"""An array of `ROW`."""

ROW = np.dtype(
    [
        ("high", "<u8"),  # upper half of the hash of the identity
        ("low", "<u8"),  # lower half
        ("version", "<i8"),
        ("event_time", "<i8"),  # µs since the epoch; 0 where deleted
        ("longitude", "<f8"),
        ("latitude", "<f8"),
        ("value", "<i8"),  # millionths
        ("arrival", "<u4"),  # seconds since the epoch, rounded up
        ("series", "<u2"),  # number of quantity and region
        ("kind", "u1"),  # of the version
        ("flags", "u1"),
    ]
)
"""One entry: one line of a processor's cache."""

DELETED, PLACED, NO_POSITION = 1, 2, 4
"""Flags: the version takes the reading away; it lies in a region; it has no coordinates."""

FORMAT = b"\x01"
MOST = 128
"""Quantities, and places with none: as many as the dictionaries of a batch can hold."""
Name: TypeAlias = tuple[str, str | None, str | None]
"""Quantity, region code and region of a series."""
PARTS = (itemgetter(0), itemgetter(slice(1, None)))
NOWHERE = (None, None)
"""No region, in a name."""


@dataclass(frozen=True)
class Packed:
    """Rows and what their series are called.

    Attributes:
        rows: an array of `ROW`.
        names: the series by number.
    """

    rows: Rows
    names: tuple[Name, ...]


@dataclass
class Series:
    """Numbers for series, the same for rows from many places."""

    names: list[Name] = field(default_factory=list)
    _numbers: dict[Name, int] = field(default_factory=dict)
    _known: dict[tuple[Name, ...], npt.NDArray[np.uint16]] = field(default_factory=dict)

    def numbers(self, names: tuple[Name, ...]) -> npt.NDArray[np.uint16]:
        """The number here of each of the names.

        Raises:
            ValueError: more than 128 quantities or 127 regions.
        """
        found = self._known.get(names)
        if found is None:
            for name in names:
                if name not in self._numbers:
                    self._numbers[name] = len(self.names)
                    self.names.append(name)
            if max(len({part(name) for name in self.names}) for part in PARTS) > MOST:
                msg = f"at most {MOST} quantities and {MOST - 1} regions can be told apart"
                raise ValueError(msg)
            found = np.array([self._numbers[name] for name in names], np.uint16)
            if len(self._known) > 1000:
                self._known.clear()
            self._known[names] = found
        return found

    def renumbered(self, packed: Packed) -> Rows:
        """The rows with the numbers of this table."""
        if packed.names == tuple(self.names[: len(packed.names)]):
            return packed.rows
        numbers = self.numbers(packed.names)
        rows = packed.rows.take(np.arange(len(packed.rows)))
        rows["series"] = numbers[rows["series"]]
        return rows


def words_of(rows: Rows) -> Words:
    """The same memory as 8 words a row: NumPy copies these ten times as fast as fields."""
    return rows.view("<u8").reshape(-1, ROW.itemsize // 8)


def joined_packed(pieces: Sequence[Packed]) -> Packed:
    """All the pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    series = Series()
    # NumPy's own way to join arrays looks at the fields of each again.
    rows, end = np.empty(sum(len(piece.rows) for piece in pieces), ROW), 0
    for piece in pieces:
        if len(piece.rows):
            begin, end = end, end + len(piece.rows)
            words_of(rows)[begin:end] = words_of(series.renumbered(piece))
    return Packed(rows, tuple(series.names))


def compact(packed: Packed) -> Packed:
    """The same rows without the names that none of them has."""
    used = np.bincount(packed.rows["series"], minlength=len(packed.names)) > 0
    if used.all():
        return packed
    rows = packed.rows.take(np.arange(len(packed.rows)))
    rows["series"] = (np.cumsum(used) - 1)[rows["series"]]
    return Packed(rows, tuple(packed.names[number] for number in np.flatnonzero(used).tolist()))


def pack(packed: Packed) -> bytes:
    """Rows and names as bytes."""
    return header(packed.names) + packed.rows.tobytes()


@functools.lru_cache(maxsize=1000)
def header(names: tuple[Name, ...]) -> bytes:
    """What stands before the rows."""
    text = json.dumps(names, ensure_ascii=False, separators=(",", ":")).encode()
    return FORMAT + len(text).to_bytes(4, "little") + text


def unpack(data: bytes) -> Packed:
    """What `pack` packed; the rows cannot be written to.

    Raises:
        ValueError: another release packed it.
    """
    if data[:1] != FORMAT:
        msg = f"packed entries of format {data[:1]!r} cannot be read; this release reads {FORMAT!r}"
        raise ValueError(msg)
    begin = 5 + int.from_bytes(data[1:5], "little")
    return Packed(np.frombuffer(data, ROW, offset=begin), _names(data[5:begin]))


@functools.lru_cache(maxsize=1000)
def _names(text: bytes) -> tuple[Name, ...]:
    return tuple((name[0], name[1], name[2]) for name in json.loads(text))

"""Numbers for the series of packed rows, so that rows from many places can be put together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.packed_rows import FEW, MOST_SERIES, ROW, Name, Packed, Rows, relabelled, words_of

__all__ = ["Series", "joined_packed"]

MOST = 128
"""Quantities, and places with none: as many as the dictionaries of a batch can hold."""
PARTS = (itemgetter(0), itemgetter(1, 2))
"""Quantity and place of a name."""


class Series:
    """Numbers for series, the same for rows from many places. Threads may share it.

    Attributes:
        names: the series by number; it only grows.
    """

    def __init__(self) -> None:
        self.names: list[Name] = []
        self._numbers: dict[Name, int] = {}
        self._known: dict[tuple[Name, ...], npt.NDArray[np.uint32]] = {}
        self._parts: tuple[set[Any], ...] = tuple(set() for _ in PARTS)
        self._lock = threading.Lock()

    def numbers(self, names: Sequence[Name]) -> npt.NDArray[np.uint32]:
        """The number here of each of the names.

        Raises:
            ValueError: more than 128 quantities, 127 regions or 134 million series.
        """
        key = tuple(names) if len(names) <= FEW else None
        found = self._known.get(key) if key is not None else None
        if found is None:
            with self._lock:
                for name in names:
                    if name not in self._numbers:
                        self._add(name)
            found = np.array([self._numbers[name] for name in names], np.uint32)
            if key is not None:
                if len(self._known) > 1000:
                    self._known.clear()
                self._known[key] = found
        return found

    def _add(self, name: Name) -> None:
        for part, held in zip(PARTS, self._parts, strict=True):
            held.add(part(name))
            if len(held) > MOST:
                held.remove(part(name))
                msg = f"at most {MOST} quantities and {MOST - 1} regions can be told apart"
                raise ValueError(msg)
        if len(self.names) >= MOST_SERIES:
            msg = f"at most {MOST_SERIES:,} series can be told apart"
            raise ValueError(msg)
        # Whoever finds the number finds the name.
        self.names.append(name)
        self._numbers[name] = len(self.names) - 1

    def renumbered(self, packed: Packed) -> Rows:
        """The rows with the numbers of this table."""
        if packed.names is self.names:
            return packed.rows
        numbers = self.numbers(packed.names)
        if len(numbers) == 0 or (int(numbers[-1]) == len(numbers) - 1 and _rising(numbers)):
            return packed.rows
        return relabelled(packed.rows, numbers)


def _rising(numbers: npt.NDArray[np.uint32]) -> bool:
    return bool((numbers == np.arange(len(numbers), dtype=np.uint32)).all())


def joined_packed(pieces: Sequence[Packed]) -> Packed:
    """All the pieces as one."""
    if len(pieces) == 1:
        return pieces[0]
    names = pieces[0].names if pieces else ()
    shared = all(piece.names is names for piece in pieces)
    series = Series()
    # NumPy's own way to join arrays looks at the fields of each again.
    rows, end = np.empty(sum(len(piece.rows) for piece in pieces), ROW), 0
    for piece in pieces:
        if len(piece.rows):
            begin, end = end, end + len(piece.rows)
            same = piece.rows if shared else series.renumbered(piece)
            words_of(rows)[begin:end] = words_of(same)
    return Packed(rows, names if shared else tuple(series.names))

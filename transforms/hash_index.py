"""A hash table of row numbers, looked up and filled for many keys at once.

Open addressing with double hashing (Knuth 1973, vol. 3, 6.4), each round one pass over the keys
that are not settled yet. The keys stay where they are, in the rows; the table has the rows'
numbers, and 16 bits of each key: so who looks for a key that is not there need not read rows, which
may be on disk.

A table that is half full is replaced by a larger one. The rows move there some at a time, as others
come (Litwin 1980 grew tables so too), and meanwhile are looked for in both: moving millions at once
would take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from transforms.spans import Bools, Ints, Words

__all__ = ["ArrayKeys", "HashIndex", "Keys"]

SMALLEST = 1 << 8
AT_ONCE = 1 << 16
"""Rows up to which a table is replaced at once."""
PACE = 4
"""Rows that move for each that comes. A new table has room for a quarter more than the old has."""
ROOM = 1.25
TAG_SHIFT = np.uint64(48)


class Keys(Protocol):
    """The keys of numbered rows, and which of them are still there.

    Attributes:
        first: no row with a lower number is there.
    """

    @property
    def first(self) -> int: ...

    def keys_of(self, numbers: Ints) -> tuple[Words, Words]:
        """Upper and lower halves of the rows' keys; of rows that are there."""

    def has(self, numbers: Ints) -> Bools:
        """Whether each row is there."""


@dataclass(frozen=True)
class ArrayKeys:
    """Keys in two arrays: their upper and their lower halves."""

    high: Words
    low: Words
    first: int = 0

    def keys_of(self, numbers: Ints) -> tuple[Words, Words]:
        """See `Keys`."""
        return self.high[numbers], self.low[numbers]

    def has(self, numbers: Ints) -> Bools:
        """See `Keys`."""
        return np.ones(len(numbers), bool)


class HashIndex:
    """Finds rows by their hash of 128 bits.

    At most half of the places are taken, so that the next free one is near. Rows that are gone keep
    theirs until the table is replaced.
    """

    def __init__(self) -> None:
        self._table = _Table(SMALLEST)
        self._old: _Table | None = None
        self._moving = range(0)

    @property
    def nbytes(self) -> int:
        """Bytes of the table, and of the one that it replaces."""
        return self._table.nbytes + (0 if self._old is None else self._old.nbytes)

    def find(self, high: Words, low: Words, rows: Keys) -> Ints:
        """The row of each key.

        Args:
            high: upper halves of the keys.
            low: lower halves.
            rows: the keys of all rows that were taken in.

        Returns:
            Row numbers, -1 where no row has the key.
        """
        found = self._table.find(high, low, rows)
        if self._old is not None:
            left = np.flatnonzero(found < 0)
            found[left] = self._old.find(high[left], low[left], rows)
        return found

    def insert(self, high: Words, low: Words, first: int, rows: Keys) -> None:
        """Takes in rows whose numbers follow those of all rows before. No two may have one key.

        Args:
            high: upper halves of the keys.
            low: lower halves.
            first: the number of the first of them.
            rows: the keys of all rows that were taken in before.
        """
        if not self._table.has_room(len(low)):
            self._replace(len(low), first, rows)
        self._table.put(high, low, np.arange(first, first + len(low)))
        self._move(PACE * len(low), rows)

    def _replace(self, more: int, end: int, rows: Keys) -> None:
        self._move(len(self._moving), rows)
        held = sum(
            int(np.count_nonzero(rows.has(np.arange(begin, min(begin + AT_ONCE, end)))))
            for begin in range(rows.first, end, AT_ONCE)
        )
        self._old, self._table = self._table, _Table.for_rows(int(ROOM * held) + more)
        self._moving = range(rows.first, end)
        if _moves_at_once(held):
            self._move(len(self._moving), rows)

    def _move(self, count: int, rows: Keys) -> None:
        """Moves so many rows from the old table to the new one."""
        while self._old is not None and count > 0:
            self._moving = range(max(self._moving.start, rows.first), self._moving.stop)
            some = self._moving[: min(count, AT_ONCE)]
            numbers = np.arange(some.start, some.stop)
            numbers = numbers[rows.has(numbers)]
            self._table.put(*rows.keys_of(numbers), numbers)
            self._moving, count = self._moving[len(some) :], count - AT_ONCE
            if not self._moving:
                self._old = None


def _moves_at_once(count: int) -> bool:
    return count <= AT_ONCE


class _Table:
    def __init__(self, places: int) -> None:
        # One more than the number of the row in a place; 0 where it is free.
        self._entries = np.zeros(places, np.uint32)
        self._tags = np.zeros(places, np.uint16)
        self._taken = 0

    @classmethod
    def for_rows(cls, count: int) -> _Table:
        return cls(max(SMALLEST, 1 << (2 * count - 1).bit_length()))

    @property
    def nbytes(self) -> int:
        return self._entries.nbytes + self._tags.nbytes

    def has_room(self, count: int) -> bool:
        return 2 * (self._taken + count) <= len(self._entries)

    def find(self, high: Words, low: Words, rows: Keys) -> Ints:
        places, steps = self._route(high, low)
        tags = _tags(high)
        found = np.full(len(low), -1)
        entries = self._entries[places]
        left = np.flatnonzero(entries)
        while len(left):
            likely = left[self._tags[places[left]] == tags[left]]
            numbers = entries[likely].astype(np.int64) - 1
            there = rows.has(numbers)
            if not there.all():
                likely, numbers = likely[there], numbers[there]
            if len(likely):
                rows_high, rows_low = rows.keys_of(numbers)
                same = (rows_high == high[likely]) & (rows_low == low[likely])
                found[likely[same]] = numbers[same]
                left = left[found[left] < 0]
            places[left] = (places[left] + steps[left]) & (len(self._entries) - 1)
            entries[left] = self._entries[places[left]]
            left = left[entries[left] > 0]
        return found

    def put(self, high: Words, low: Words, numbers: Ints) -> None:
        table, mask = self._entries, len(self._entries) - 1
        places, steps = self._route(high, low)
        entries, tags = (numbers + 1).astype(np.uint32), _tags(high)
        self._taken += len(entries)
        while len(places):
            free = table[places] == 0
            table[places[free]] = entries[free]
            # Of several that took one place in this round, the last has it.
            has = table[places] == entries
            self._tags[places[has]] = tags[has]
            left = ~has
            places, steps, entries, tags = places[left], steps[left], entries[left], tags[left]
            places = (places + steps) & mask

    def _route(self, high: Words, low: Words) -> tuple[Ints, Ints]:
        """Where each key is looked for first, and by how much further each time."""
        mask = np.uint64(len(self._entries) - 1)
        return (low & mask).astype(np.int64), ((high & mask) | np.uint64(1)).astype(np.int64)


def _tags(high: Words) -> np.ndarray:
    return (high >> TAG_SHIFT).astype(np.uint16)

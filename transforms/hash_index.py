"""A hash table of row numbers, looked up and filled for many keys at once.

Open addressing with double hashing (Knuth 1973, vol. 3, 6.4), each round one pass over the keys
that are not settled yet. The keys stay where they are, in the rows; the table has the rows'
numbers only.
"""

from __future__ import annotations

import numpy as np

from transforms.spans import Ints, Words

__all__ = ["HashIndex"]

SMALLEST = 1 << 8


class HashIndex:
    """Finds rows by their hash of 128 bits.

    At most half of the places are taken, so that the next free one is near.
    """

    def __init__(self) -> None:
        self._table = np.zeros(SMALLEST, np.uint32)

    @property
    def nbytes(self) -> int:
        """Bytes of the table."""
        return self._table.nbytes

    def find(self, high: Words, low: Words, rows_high: Words, rows_low: Words) -> Ints:
        """The row of each key.

        Args:
            high: upper halves of the keys.
            low: lower halves.
            rows_high: upper halves of the rows' keys.
            rows_low: lower halves.

        Returns:
            Row numbers, -1 where no row has the key.
        """
        table, mask = self._table, len(self._table) - 1
        places, steps = self._route(high, low)
        found = np.full(len(low), -1)
        # One more than the number of the row in a place; 0 where it is free.
        entries = table[places]
        left = np.flatnonzero(entries)
        while len(left):
            rows = entries[left].astype(np.int64) - 1
            same = (rows_high[rows] == high[left]) & (rows_low[rows] == low[left])
            found[left[same]] = rows[same]
            left = left[~same]
            places[left] = (places[left] + steps[left]) & mask
            entries[left] = table[places[left]]
            left = left[entries[left] > 0]
        return found

    def insert(self, rows_high: Words, rows_low: Words, first: int) -> None:
        """Takes in the rows from a number on. No two rows may have one key.

        Args:
            rows_high: upper halves of all rows' keys.
            rows_low: lower halves.
            first: the number of the first new row.
        """
        count = len(rows_high)
        if 2 * count > len(self._table):
            self._table = np.zeros(1 << (2 * count - 1).bit_length(), np.uint32)
            first = 0
        self._put(rows_high[first:], rows_low[first:], first)

    def rebuild(self, rows_high: Words, rows_low: Words) -> None:
        """Forgets all and takes in all rows."""
        self._table = np.zeros(SMALLEST, np.uint32)
        self.insert(rows_high, rows_low, 0)

    def _put(self, high: Words, low: Words, first: int) -> None:
        table, mask = self._table, len(self._table) - 1
        places, steps = self._route(high, low)
        numbers = np.arange(first + 1, first + 1 + len(low), dtype=np.uint32)
        while len(places):
            free = table[places] == 0
            table[places[free]] = numbers[free]
            # Of several that took one place in this round, the last has it.
            left = table[places] != numbers
            places, steps, numbers = places[left], steps[left], numbers[left]
            places = (places + steps) & mask

    def _route(self, high: Words, low: Words) -> tuple[Ints, Ints]:
        """Where each key is looked for first, and by how much further each time."""
        mask = np.uint64(len(self._table) - 1)
        return (low & mask).astype(np.int64), ((high & mask) | np.uint64(1)).astype(np.int64)

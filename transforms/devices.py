"""Where devices stand and when, found for many readings at once: no Beam in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.hash_index import ArrayKeys, HashIndex
from transforms.identity import identities
from transforms.spans import Floats, Ints, Words

__all__ = ["Devices"]


@dataclass(frozen=True)
class Devices:
    """Where devices stand, and when; `Devices.of` makes it.

    A stay is a time in which a device is at one place. The stays of a device are next to each
    other, in the order of their beginning, and do not overlap.

    Attributes:
        high, low: the hash of each device's name.
        index: finds a device by it.
        first: the number of each device's first stay, and at the end how many stays there are.
        step: the greatest power of two below the most stays that a device has; 0 where each has
            one.
        since, until: when each stay begins and ends, in microseconds since the epoch, [since,
            until).
        longitude, latitude: WGS 84 degrees.
    """

    high: Words
    low: Words
    index: HashIndex
    first: Ints
    step: int
    since: Ints
    until: Ints
    longitude: Floats
    latitude: Floats

    @classmethod
    def of(
        cls,
        names: pa.Array,
        first: Ints,
        since: Ints,
        until: Ints,
        longitude: Floats,
        latitude: Floats,
    ) -> Devices:
        """Devices by their names, each once; the rest as in the attributes."""
        high, low = _hashes(names)
        index = HashIndex()
        index.insert(high, low, 0, ArrayKeys(high, low))
        most = int(np.diff(first).max(initial=1))
        step = 1 << ((most - 1).bit_length() - 1) if most > 1 else 0
        return cls(high, low, index, first, step, since, until, longitude, latitude)

    def __len__(self) -> int:
        """How many devices there are."""
        return len(self.high)

    def find(self, names: pa.Array) -> Ints:
        """The number of the device of each name; -1 for one that is not known."""
        return self.index.find(*_hashes(names), ArrayKeys(self.high, self.low))

    def stays(self, devices: Ints, times: Ints) -> Ints:
        """The stay of each device at a time; -1 for a time that none of its stays holds.

        Args:
            devices: numbers of devices.
            times: microseconds since the epoch.
        """
        found = self.first[devices]
        if self.step:
            # A binary search in all rows at once: the last stay that has begun by then.
            last = self.first[devices + 1] - 1
            rows = np.flatnonzero(last > found)
            at, end, time = found[rows], last[rows], times[rows]
            step = self.step
            while step:
                ahead = np.minimum(at + step, end)
                at = np.where(self.since[ahead] <= time, ahead, at)
                step >>= 1
            found[rows] = at
        found[(self.since[found] > times) | (self.until[found] <= times)] = -1
        return found


def _hashes(names: pa.Array) -> tuple[Words, Words]:
    """128 bits of each name: those of a reading's identity that has the name as its `id`."""
    nothing = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(names), np.int8)), [""])
    return identities(pa.record_batch({"format": nothing, "quantity": nothing, "id": names}))

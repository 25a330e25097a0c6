"""Images of shards in a worker's memory, so that their state need not be read at each bundle."""

from __future__ import annotations

import time
from typing import ClassVar

from transforms.measures import set_gauge
from transforms.packed_series import Series
from transforms.version_memory import VersionMemory

__all__ = ["ShardImages"]

FORGET_AFTER, LOOK_EVERY = 600.0, 60.0
"""Seconds after which an image that no bundle asked for is dropped; how often that is looked at."""


MOST_NAMES = 1 << 22
"""Series from which on their numbers are given anew: some are of sensors that are gone."""


class ShardImages:
    """What this process remembers of shards, for all threads and copies of a DoFn.

    Args:
        owner: tells one transform's images from another's.
    """

    _all: ClassVar[dict[tuple[str, int], tuple[str, VersionMemory, float]]] = {}
    _series: ClassVar[dict[str, Series]] = {}
    _looked = 0.0

    def __init__(self, owner: str) -> None:
        self._owner = owner

    @property
    def series(self) -> Series:
        """The numbers of series that the images of the owner share."""
        return self._series.setdefault(self._owner, Series())

    def take(self, shard: int, token: str) -> VersionMemory | None:
        """The image of a shard, if it is that of the state: nobody else gets it until it is put."""
        found = self._all.pop((self._owner, shard), None)
        # A bundle that failed after its image had changed, or another worker's, has another token.
        return found[1] if found is not None and found[0] == token else None

    def put(self, shard: int, token: str, memory: VersionMemory) -> None:
        """Leaves an image for the next bundle."""
        self._all[self._owner, shard] = (token, memory, time.monotonic())

    @classmethod
    def drop_unused(cls) -> None:
        """Drops images that nobody asked for: their shards have moved to another worker."""
        now = time.monotonic()
        if now - cls._looked < LOOK_EVERY:
            return
        cls._looked = now
        # Images that are in use keep their numbers of series; others are made anew when needed.
        full = {owner for owner, series in cls._series.items() if len(series.names) > MOST_NAMES}
        for key, (_, _, used) in list(cls._all.items()):
            if now - used > FORGET_AFTER or key[0] in full:
                cls._all.pop(key, None)
        for owner in set(cls._series) - {owner for owner, _ in list(cls._all)}:
            cls._series.pop(owner, None)

    @classmethod
    def measure(cls) -> None:
        """Sets the gauges `state/versions` and `state/bytes` of this process."""
        sizes = [memory.size for _, memory, _ in list(cls._all.values())]
        set_gauge("state", "versions", sum(rows for rows, _ in sizes))
        set_gauge("state", "bytes", sum(size for _, size in sizes))

"""Images of the shards of remembered versions, and the numbers of series that they share."""

from __future__ import annotations

from typing import ClassVar

from transforms.measures import set_gauge
from transforms.packed_series import Series
from transforms.state_images import StateImages
from transforms.version_memory import VersionMemory

__all__ = ["ShardImages"]

MOST_NAMES = 1 << 22
"""Series from which on their numbers are given anew: some are of sensors that are gone."""


class ShardImages(StateImages[VersionMemory]):
    """What this process remembers of shards."""

    _all: ClassVar[dict[tuple[str, int], tuple[str, VersionMemory, float]]] = {}
    _series: ClassVar[dict[str, Series]] = {}

    @property
    def series(self) -> Series:
        """The numbers of series that the images of the owner share."""
        return self._series.setdefault(self._owner, Series())

    @classmethod
    def _outgrown(cls, owner: str) -> bool:
        # Images that are in use keep their numbers of series; others are made anew when needed.
        return owner in cls._series and len(cls._series[owner].names) > MOST_NAMES

    @classmethod
    def _dropped(cls, owners: set[str]) -> None:
        for owner in set(cls._series) - owners:
            cls._series.pop(owner, None)

    @classmethod
    def measure(cls) -> None:
        """Sets the gauges `state/versions` and `state/bytes` of this process."""
        sizes = [memory.size for _, memory, _ in list(cls._all.values())]
        set_gauge("state", "versions", sum(rows for rows, _ in sizes))
        set_gauge("state", "bytes", sum(size for _, size in sizes))

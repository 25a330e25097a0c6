"""How far sources have been read and stored, as the local store's manifest says."""

from __future__ import annotations

import time

from connectors.local_store import LocalStore
from connectors.streams.written_positions import WrittenPositions

__all__ = ["StoredPositions", "positions_of"]

LOOK_EVERY = 1.0
"""Seconds between looks into the manifest."""


def positions_of(store: str) -> StoredPositions | WrittenPositions:
    """What says how far sources have been read and stored.

    Args:
        store: the folder of a local store, or an output of another kind, `…://…`, that the sink
            writes to in this process.
    """
    return WrittenPositions(store) if "://" in store else StoredPositions(store)


class StoredPositions:
    """Reads the positions now and then: the manifest of a large store is not small.

    Args:
        folder: the store's folder.
    """

    def __init__(self, folder: str) -> None:
        self._store = LocalStore(folder)
        self._known: dict[str, int] = {}
        self._looked = float("-inf")

    def read(self) -> dict[str, int]:
        """The positions as they are committed now, by the name of the part.

        Raises:
            StoreError: the manifest is broken or has a newer format.
        """
        self._known, self._looked = self._store.positions(), time.monotonic()
        return self._known

    def recent(self) -> dict[str, int]:
        """The positions as they were a moment ago."""
        return self._known if time.monotonic() - self._looked < LOOK_EVERY else self.read()

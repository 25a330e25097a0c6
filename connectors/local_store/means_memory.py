"""The newest totals of windows, kept from one commit of a stream to the next.

A stream's commit changes much the same windows as the one before. What the store holds of them is
what this process has written, as long as its files are those of that commit: then nothing need be
read again, and a commit takes half as long. A file's name says what it holds, so files of the same
names hold the same rows, unless one is damaged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from connectors.local_store.manifest import Manifest
from connectors.local_store.means_files import MEANS
from connectors.local_store.totals import Former, Totals
from connectors.local_store.window_numbers import Numbering, Windows

__all__ = ["MeansMemory"]

State: TypeAlias = tuple[str, frozenset[tuple[str, int | None]]]

MOST = 1 << 16
"""Windows that are kept, and regions and sensors that have a number: with more all is forgotten."""


class MeansMemory:
    """What the store holds of windows that a stream has changed.

    Attributes:
        numbering: the numbers of the windows' series.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._state: State | None = None
        self.numbering = Numbering()
        self._windows = Windows.of([])
        self._held = Former.nothing(0)

    def begin(self, folder: Path, before: Manifest, run_id: str) -> None:
        """Begins a commit: forgets all that may have changed since the last one.

        Args:
            folder: the store's folder.
            before: the state of the store.
            run_id: the run that commits.
        """
        changed = self._state != _state(folder, before, run_id)
        if changed or max(len(self._windows), len(self.numbering)) > MOST:
            self._forget()
        # Should this commit fail, it will have said nothing that is true.
        self._state = None

    def end(self, folder: Path, after: Manifest, run_id: str) -> None:
        """Ends it.

        Args:
            folder: the store's folder.
            after: the state of the store as the commit leaves it.
            run_id: the run.
        """
        self._state = _state(folder, after, run_id)

    def former(self, windows: Windows, read: Callable[[Windows], Former]) -> Former:
        """What the store holds of windows.

        Args:
            windows: the windows, numbered by `numbering`.
            read: looks up those that are not known.
        """
        places = self._windows.places(windows.series, windows.starts)
        known = places >= 0
        found = read(windows.only(~known))
        if not known.any():
            return found
        result = Former.nothing(len(windows))
        result.put(known, self._held.only(places[known]))
        result.put(~known, found)
        return result

    def keep(self, windows: Windows, before: Former, rows: Totals) -> None:
        """Remembers what is written.

        Args:
            windows: the windows that the commit touches.
            before: what the store held of them; this changes it.
            rows: their new rows.
        """
        before.follow(rows)
        places = self._windows.places(windows.series, windows.starts)
        known = places >= 0
        self._held.put(places[known], before.only(known))
        if not known.all():
            new = windows.only(~known)
            series = np.concatenate([self._windows.series, new.series])
            starts = np.concatenate([self._windows.starts, new.starts])
            order = np.lexsort((starts, series))
            held = Former.nothing(len(order))
            held.put(slice(len(self._windows)), self._held)
            held.put(slice(len(self._windows), None), before.only(~known))
            self._windows, self._held = Windows(series[order], starts[order]), held.only(order)


def _state(folder: Path, manifest: Manifest, run_id: str) -> State:
    files = [file for file in manifest.files.get(MEANS, ()) if not file.history]
    return run_id, frozenset((file.path, _written(folder / file.path)) for file in files)


def _written(path: Path) -> int | None:
    """When a file was written: one that was written again is damaged, and found so when read."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None

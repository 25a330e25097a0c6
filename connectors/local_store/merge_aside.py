"""Merges large parts of the index beside a stream that goes on committing.

A stream's commit must not wait for tens of millions of entries to be merged. So it merges small
segments only; the large ones are a thread's work, which holds the store's lock just to put the
merged one in their place, as a compaction does.
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import threading
import time
from pathlib import Path

from connectors.local_store.errors import StoreError
from connectors.local_store.index_merge import crowded, merge_into_one, next_segment
from connectors.local_store.manifest import Manifest, read_document
from connectors.local_store.transaction import Transaction, transaction

__all__ = ["merge_aside", "merge_crowded"]

LOCK_SECONDS = 60.0
STOP_SECONDS = 30.0
REST = 1.0
"""How long a merge rests after each range of hashes, as part of how long that took: the stream has
the same cores, and is to keep up meanwhile."""

_merging: dict[str, threading.Thread] = {}
_stop = threading.Event()


def merge_aside(folder: str, manifest: Manifest) -> threading.Thread | None:
    """Has a thread merge what is to be merged, if there is something and no thread is at it.

    What it leaves undone, because the process ends or a file cannot be written, is done another
    time: a store whose index has many segments is right, and slower.

    Args:
        folder: the store's folder.
        manifest: its state.

    Returns:
        The thread that was started; None for none.
    """
    at_it = _merging.get(folder)
    if (at_it is not None and at_it.is_alive()) or not crowded(manifest.index):
        return None
    thread = threading.Thread(target=_merge, args=(Path(folder),), daemon=True)
    _merging[folder] = thread
    thread.start()
    return thread


def _merge(folder: Path) -> None:
    try:
        while not _stop.is_set() and merge_crowded(folder):
            pass
    except (StoreError, OSError) as error:
        logging.getLogger(__name__).warning("the index is not merged: %s", error)


def merge_crowded(folder: Path) -> bool:
    """Merges the lowest tier that has too many segments.

    Args:
        folder: the store's folder.

    Returns:
        Whether there was one, and it was merged; not if others have changed it meanwhile.

    Raises:
        StoreError: the store cannot be read or written, or its lock is held by others.
        OSError: a file cannot be written.
    """
    document = read_document(folder)
    before = Manifest.from_document(document)
    files = crowded(before.index)
    if not files:
        return False
    running = Transaction(folder, document).alive
    pace = _Pace()
    merged = merge_into_one(folder, files, next_segment(before.index), running, pace.stopped)
    with transaction(folder, LOCK_SECONDS) as change:
        now = change.before.index
        if _stop.is_set() or not set(files) <= set(now):
            return False
        others = [file for file in now if file not in set(files)]
        segment = next_segment(others)
        change.set_index([*(dataclasses.replace(one, segment=segment) for one in merged), *others])
    return True


class _Pace:
    """Has a merge rest between two ranges of hashes."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def stopped(self) -> bool:
        """Rests; says whether the merge is not wanted any more."""
        stopped = _stop.wait(REST * (time.monotonic() - self._since))
        self._since = time.monotonic()
        return stopped


@atexit.register
def _end() -> None:
    """Lets no thread be in the midst of a merge when the interpreter goes."""
    _stop.set()
    for thread in _merging.values():
        thread.join(STOP_SECONDS)

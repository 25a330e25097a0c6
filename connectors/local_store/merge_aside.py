"""Merges large parts of the index beside a stream that goes on committing.

A stream's commit must not wait for tens of millions of entries to be merged. So it merges small
segments only; the large ones are the work of a process of their own, which no lock of the
interpreter ties to the stream's. It holds the store's lock just to put the merged segment in their
place, as a compaction does. A process is started by `python -m connectors.local_store.merge_aside
FOLDER`, and ends when the one that has started it does.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from connectors.local_store.errors import StoreError
from connectors.local_store.index_merge import crowded, merge_into_one, next_segment
from connectors.local_store.manifest import Manifest, read_document
from connectors.local_store.transaction import Transaction, transaction

__all__ = ["merge_aside", "merge_crowded"]

LOCK_SECONDS = 60.0
NICENESS = 5
"""The stream has the same cores, and is to keep up meanwhile."""
AGAIN_SECONDS = 60.0
"""How long nothing is tried after what has failed."""

_merging: dict[str, subprocess.Popen[bytes]] = {}
_not_before: dict[str, float] = {}


def merge_aside(folder: str, manifest: Manifest) -> subprocess.Popen[bytes] | None:
    """Has a process merge what is to be merged, if there is something and none is at it.

    What it leaves undone, because this process ends or a file cannot be written, is done another
    time: a store whose index has many segments is right, and slower.

    Args:
        folder: the store's folder.
        manifest: its state.

    Returns:
        The process that was started; None for none.
    """
    at_it = _merging.get(folder)
    if at_it is not None:
        if at_it.poll() is None:
            return None
        _ended(folder)
    if not crowded(manifest.index) or time.monotonic() < _not_before.get(folder, 0.0):
        return None
    try:
        _merging[folder] = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__, str(Path(folder).absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            # An interrupt at the terminal is the stream's: what it starts ends with it.
            start_new_session=True,
        )
    except OSError as error:
        _failed(folder, str(error))
    return _merging.get(folder)


def _ended(folder: str) -> None:
    """Forgets a process that has ended, and says so if it has failed."""
    process = _merging.pop(folder)
    _, said = process.communicate()
    if process.returncode:
        lines = said.decode(errors="replace").split("\n")
        reasons = [f"its process has ended with {process.returncode}", *filter(None, lines)]
        _failed(folder, reasons[-1])


def _failed(folder: str, reason: str) -> None:
    _not_before[folder] = time.monotonic() + AGAIN_SECONDS
    logging.getLogger(__name__).warning("the index is not merged: %s", reason)


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
    merged = merge_into_one(folder, files, next_segment(before.index), running)
    with transaction(folder, LOCK_SECONDS) as change:
        now = change.before.index
        if not set(files) <= set(now):
            return False
        others = [file for file in now if file not in set(files)]
        segment = next_segment(others)
        change.set_index([*(dataclasses.replace(one, segment=segment) for one in merged), *others])
    return True


@atexit.register
def _end() -> None:
    """Ends what this process has started."""
    for process in _merging.values():
        process.kill()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Merges all that is to be merged in the store whose folder is the only argument."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    try:
        while merge_crowded(Path(folder)):
            pass
    except (StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_parent() -> None:
    """Ends this process when the other end of its input is closed, as it is when nobody has it."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    sys.exit(main())

"""Which processes may be writing files that no commit has named yet.

A file that nobody has named is either left behind by a run that crashed, and can be removed, or
belongs to a run that will commit it, perhaps hours later. So each process that writes holds a lock
on a file of its own in `.writing` for as long as it lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

__all__ = ["announce_writer", "earliest_writer", "others_write"]

FOLDER = ".writing"

_announced: dict[tuple[int, str], int] = {}


def announce_writer(folder: str | Path) -> None:
    """Says that this process writes files to the store, until it ends.

    Args:
        folder: the store's folder.

    Raises:
        OSError: the folder cannot be written.
    """
    place = Path(folder).absolute()
    # A forked worker needs a lock of its own.
    key = os.getpid(), str(place)
    if key in _announced:
        return
    markers = place / FOLDER
    markers.mkdir(parents=True, exist_ok=True)
    for _ in _living(markers):
        pass
    while True:
        path = markers / uuid.uuid4().hex
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if path.exists():
            _announced[key] = descriptor
            return
        os.close(descriptor)  # taken for that of a dead process, before it was locked


def earliest_writer(folder: Path) -> float | None:
    """When the oldest of the processes began that may be writing to a store.

    Args:
        folder: the store's folder.

    Returns:
        Seconds since the epoch, by the clock of the file system; None where nobody is writing.
    """
    return min(_living(folder / FOLDER), default=None)


def others_write(folder: Path) -> bool:
    """Whether any other process may be writing to a store.

    Args:
        folder: the store's folder.
    """
    own = _announced.get((os.getpid(), str(folder.absolute())))
    but = None if own is None else os.fstat(own).st_ino
    return any(True for _ in _living(folder / FOLDER, but))


def _living(markers: Path, but: int | None = None) -> Iterator[float]:
    """When each living writer began, but for one inode; the files of dead ones are removed."""
    with contextlib.suppress(FileNotFoundError):
        for path in list(markers.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                except BlockingIOError:
                    if os.fstat(descriptor).st_ino != but:
                        yield os.fstat(descriptor).st_mtime
                finally:
                    os.close(descriptor)

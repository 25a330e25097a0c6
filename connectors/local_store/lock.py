"""The store's lock: one committer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from connectors.local_store.errors import StoreError

__all__ = ["exclusive_lock"]

LOCK = ".lock"
LOCK_POLL_SECONDS = 0.01


@contextlib.contextmanager
def exclusive_lock(folder: Path, timeout: float) -> Iterator[None]:
    """Holds the store's lock file: one committer at a time, in any process or thread.

    The lock ends with the process that holds it, so a killed run leaves none behind.

    Args:
        folder: the store's folder.
        timeout: seconds to wait for another committer.

    Raises:
        StoreError: another committer held the lock all the time.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    msg = (
                        f"another run has been committing to {folder} for {timeout:g} seconds; "
                        "wait for it to end and try again"
                    )
                    raise StoreError(msg) from error
                pause.wait(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)

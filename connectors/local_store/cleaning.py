"""Removes files that no manifest has ever named: what runs left behind that crashed."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.local_store.lock import exclusive_lock
from connectors.local_store.manifest import TEMPORARY_PREFIX, read_document
from connectors.local_store.records import INDEX, OWED, RUNNING
from connectors.local_store.writers import earliest_writer
from schemas.tables import TABLES

__all__ = ["Leftovers", "remove_leftovers"]

AGE = 3600.0
"""Seconds for which a file is left alone that nobody has named: its run may be about to."""

STREAM_AGE = 7 * 86_400.0
"""The same while a stream is running: restarted from a checkpoint, it hands old files over."""

OURS = re.compile(r"[0-9a-f]{64}\.(parquet|arrow)")


@dataclass(frozen=True)
class Leftovers:
    """What was removed.

    Attributes:
        files: how many files.
        bytes: their size.
    """

    files: int = 0
    bytes: int = 0


def remove_leftovers(folder: Path, timeout: float, now: float | None = None) -> Leftovers:
    """Removes old files of tables and of the index that the manifest does not know.

    Files that another program put into the folder are left alone, and so is everything that is
    younger than the oldest run that is writing.

    Args:
        folder: the store's folder.
        timeout: seconds to wait for the store's lock.
        now: seconds since the epoch; the present by default.

    Raises:
        StoreError: the lock is held by others, or the manifest is broken.
        OSError: a file cannot be removed.
    """
    limit = (time.time() if now is None else now) - AGE
    writer = earliest_writer(folder)
    if writer is not None:
        limit = min(limit, writer)
    found = list(_written(folder))
    files = size = 0
    with exclusive_lock(folder, timeout):
        document = read_document(folder)
        if any(run.get("status") == RUNNING for run in document["runs"]):
            limit -= STREAM_AGE - AGE
        known = _known(document)
        for path in found:
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                if status.st_mtime >= limit or str(path.relative_to(folder)) in known:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                files, size = files + 1, size + status.st_size
    _remove_empty_dates(folder)
    return Leftovers(files, size)


def _written(folder: Path) -> Iterator[Path]:
    """All that a run may have left behind."""
    for name in (*TABLES, INDEX, OWED):
        for path in (folder / name).rglob("*"):
            if OURS.fullmatch(path.name) or path.name.startswith(TEMPORARY_PREFIX):
                yield path
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        yield path


def _known(document: Mapping[str, Any]) -> set[str]:
    listed = [*document["tables"].values(), document["index"], document.get(OWED, {}).values()]
    return {entry["path"] for entries in listed for entry in entries} | set(
        document.get("replaced", ())
    )


def _remove_empty_dates(folder: Path) -> None:
    for name in TABLES:
        for path in (folder / name).glob("*=*"):
            # One that is not empty stays, and so does one that is being written to.
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > AGE:
                    path.rmdir()

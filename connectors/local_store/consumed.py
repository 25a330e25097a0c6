"""Which files of a stream were committed and are gone: merged into others, or rewritten.

A stream that is restarted from a checkpoint hands files to the store that it handed over before.
Those that the manifest does not name any more are told by a list beside it, eight bytes a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from connectors.local_store.records import StoredFile

__all__ = ["forget_runs", "remember_consumed", "was_consumed"]

FOLDER = "consumed"


def remember_consumed(folder: Path, run_id: str, hashes: Iterable[str]) -> None:
    """Says, durably, that files of a run are committed though no manifest names them.

    Args:
        folder: the store's folder.
        run_id: the run.
        hashes: the hexadecimal SHA-256 of the files.
    """
    added = b"".join(bytes.fromhex(sha256)[:8] for sha256 in hashes)
    if not added:
        return
    path = _path(folder, run_id)
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        # What a crash cut off in the middle of a hash must not shift those that follow.
        file.write(bytes(-file.tell() % 8) + added)
        file.flush()
        os.fsync(file.fileno())


def was_consumed(folder: Path, run_id: str, files: Collection[StoredFile]) -> set[StoredFile]:
    """Those of a run's files that were committed before and are gone."""
    try:
        known = np.fromfile(_path(folder, run_id), ">u8").astype(np.uint64)
    except FileNotFoundError:
        return set()
    listed = list(files)
    hashes = np.array([int(file.sha256[:16], 16) for file in listed], np.uint64)
    found = np.isin(hashes, known)
    return {file for file, gone in zip(listed, found.tolist(), strict=True) if gone}


def forget_runs(folder: Path, alive: Iterable[str]) -> None:
    """Removes the lists of all runs but those that may commit again."""
    kept = {_path(folder, run_id).name for run_id in alive}
    with contextlib.suppress(FileNotFoundError):
        for path in (folder / FOLDER).iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)


def _path(folder: Path, run_id: str) -> Path:
    return folder / FOLDER / hashlib.sha256(run_id.encode()).hexdigest()[:32]

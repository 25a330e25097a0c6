"""How large folders are that others write to."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["checkpoint_bytes", "folder_bytes"]


def folder_bytes(folder: Path) -> int:
    """Bytes in all files below a folder; 0 where it is not there."""
    total = 0
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # it has gone meanwhile, or is not there
            continue
    return total


def checkpoint_bytes(temporary: Path) -> int:
    """Bytes of the checkpoints of Flink among the temporary files of a job; of others 0."""
    return sum(folder_bytes(folder) for folder in temporary.glob("flink-*/checkpoints"))

"""A folder whose disk can be full: a small file system of its own, or a limit of a process."""

from __future__ import annotations

import contextlib
import resource
import subprocess
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Disk"]

SIZE = 64 << 20
PIECE = bytes(1 << 16)
NONE = resource.RLIM_INFINITY


class Disk:
    """A folder on a disk that can be filled.

    Where this process may mount, it is a file system in memory; elsewhere the processes that write
    get a limit of 0 bytes a file meanwhile.

    Args:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._ballast = folder / "ballast"
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
        done = subprocess.run(command, check=False, capture_output=True)
        self.mounted = done.returncode == 0

    def fill(self, writers: Iterable[int]) -> None:
        """Leaves no byte free.

        Args:
            writers: the processes that write, which get the limit where nothing is mounted.
        """
        if not self.mounted:
            self._limit(writers, 0)
            return
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(PIECE):
                pass

    def free(self, writers: Iterable[int]) -> None:
        """Gives the room back."""
        if self.mounted:
            self._ballast.unlink(missing_ok=True)
        else:
            self._limit(writers, NONE)

    def close(self) -> None:
        """Lets go of the file system and all that is in it."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", self.folder], check=True, capture_output=True)
            self.mounted = False

    @staticmethod
    def _limit(writers: Iterable[int], size: int) -> None:
        for process in writers:
            # It may have ended meanwhile.
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process, resource.RLIMIT_FSIZE, (size, NONE))

"""Commands that a test starts, and that do not outlive it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["child"]

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def child(command: Sequence[object], *, text: bool = True) -> Iterator[subprocess.Popen]:
    """A command that is killed at the end of the block if it still runs then."""
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=text,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

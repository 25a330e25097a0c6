"""What every command does alike: say why it failed, and write its answer to a reader who may go."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable

__all__ = ["fail", "write_out"]


def fail(message: str, code: int = 1) -> int:
    """Prints one sentence of failure and returns the exit code."""
    print(f"error: {message}", file=sys.stderr)
    return code


def write_out(write: Callable[[], object], trouble: str) -> int:
    """Writes to standard output.

    Args:
        write: does the writing.
        trouble: what to say where the output takes no more; the reason is added.

    Returns:
        The exit code: 0 also where the reader has seen enough and gone, 1 where the output is full.
    """
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
    except OSError as error:
        _write_no_more()
        return fail(f"{trouble}: {error.strerror}")
    return 0


def _write_no_more() -> None:
    """What is left in the buffer goes nowhere: the interpreter would complain of it at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
